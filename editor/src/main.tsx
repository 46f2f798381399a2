import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import "@xyflow/react/dist/style.css"; // first, so that ours wins
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/picture.css";
import "./styles/panels.css";
import "./styles/phone.css";
import { start } from "./app/start";
import { App } from "./ui/App";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
void start();
