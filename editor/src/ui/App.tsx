import { ReactFlowProvider } from "@xyflow/react";
import { useState } from "react";

import { session } from "../app/session";
import { useStore } from "../app/store";
import { Canvas } from "./Canvas";
import { Dock } from "./dock/Dock";
import { Door } from "./Door";
import { Inspector } from "./Inspector";
import { Palette } from "./Palette";
import { useShortcuts } from "./shortcuts";
import { Toast } from "./Toast";
import { TopBar } from "./TopBar";

const VIEWS = ["Steps", "Graph", "Details", "Results"] as const;
type View = (typeof VIEWS)[number];

/** The whole page; on a phone one part of it at a time. */
export function App() {
  const refused = useStore(session, (state) => state.connection === "refused");
  const [view, setView] = useState<View>("Graph");
  useShortcuts();
  return (
    <ReactFlowProvider>
      <div className="page" data-view={view}>
        <TopBar />
        {refused ? (
          <main className="main main-door"><Door /></main>
        ) : (
          <>
            <Palette onAdded={() => setView("Graph")} />
            <main className="main">
              <Canvas />
              <Dock />
            </main>
            <Inspector />
            <nav className="views" aria-label="Parts of the page">
              {VIEWS.map((each) => (
                <button key={each} type="button" aria-current={each === view ? "page" : undefined} onClick={() => setView(each)}>{each}</button>
              ))}
            </nav>
          </>
        )}
        <Toast />
      </div>
    </ReactFlowProvider>
  );
}
