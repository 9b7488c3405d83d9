import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { PredictionPage } from "./prediction-page.js"

const place = document.getElementById("page")
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <PredictionPage />
    </StrictMode>,
  )
