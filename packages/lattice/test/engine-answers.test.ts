import { expect, it } from "vitest"
import { engineAnswers } from "./engine-answers.js"

it("one seed gives these bytes; a change is a change of the protocol", () => {
  expect(engineAnswers()).toMatchInlineSnapshot(`
    {
      "decrypted": "17efcda7ae18ab947d023ada5d0cef4885bda048df536e1f1147093690ea36d3",
      "encryptedWithPublic": "e063a3b10356e272c007e012e90edab72dce0fb2c17e79dd62501dc0a84bfef3",
      "encryptedWithSecret": "5eced41339623e9634b4b90ba4d0beefae7390775068efbc85bd70598b3b3230",
      "product": "5a09fa9fbb57f81bbcc462edcbb905b7a3d37b5c7935b3bd76067fb7af14fa9e",
      "publicKey": "869805363170555feb71f2fade737a92953e6aa5d26728251595b081c6b10869",
      "relinearisationKey": "91808fc204b6d0de8b72b5901d7ee1b1dfc3d4ba81aa7c5ff052dda289f0aa3b",
      "rotated": "37086701d6aca8db47ab13ceae3c8da5b7a9e34584216507352fe06724780f19",
      "row": "eb5f517546a42aec696dea65fb7886975f3b2251d81a3a9c540262650fdc7b5b",
      "secret": "f48c439b20549339e48412363c32e0d2636886e69b4e087522e170b36846c5a7",
      "wholeDecrypted": "f31c29802b7abe434fbd6290ca6e950a5aa95ad4d31d9f663e6292339b3a03d4",
      "wholeProduct": "d9cc26d71e5e924c8351a6226da4788d72c3f5cbcf577c8805d544ae6466663f",
    }
  `)
})
