/** Hands a text to the browser as a file to save. It goes to no server. */
export const saveFile = (name: string, text: string): void => {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }))
  const link = document.createElement("a")
  link.href = address
  link.download = name
  link.click()
  // the browser has taken it once this task is over
  setTimeout(() => URL.revokeObjectURL(address))
}
