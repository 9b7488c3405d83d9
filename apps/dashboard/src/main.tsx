import { QueryClientProvider } from "@tanstack/react-query"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { Page } from "./page.js"
import { makeQueryClient } from "./study-data.js"

const place = document.getElementById("page")
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <QueryClientProvider client={makeQueryClient()}>
        <Page />
      </QueryClientProvider>
    </StrictMode>,
  )
