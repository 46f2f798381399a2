import { type KeyboardEvent, type ReactNode, useState } from "react";

import { session } from "../../app/session";
import { useStore } from "../../app/store";
import { Icon } from "../icons";
import { OutputPanel } from "./OutputPanel";
import { Outcome } from "./Outcome";
import { ProblemsPanel } from "./ProblemsPanel";
import { PushPanel } from "./PushPanel";
import { TimelinePanel } from "./TimelinePanel";
import { YamlPanel } from "./YamlPanel";

const TABS = ["Output", "Problems", "Timeline", "YAML", "Push"] as const;
type Tab = (typeof TABS)[number];

const PANELS: Record<Tab, () => ReactNode> = {
  Output: OutputPanel,
  Problems: ProblemsPanel,
  Timeline: TimelinePanel,
  YAML: YamlPanel,
  Push: PushPanel,
};

/** What lies below the picture. */
export function Dock() {
  const [tab, setTab] = useState<Tab>("Output");
  const [open, setOpen] = useState(true);
  const count = useStore(session, ({ problems, refusals }) => (problems.length > 0 ? problems.length : refusals.length));
  const Panel = PANELS[tab];
  const show = (next: Tab) => {
    setTab(next);
    setOpen(true);
  };
  return (
    <section className={`dock ${open ? "" : "dock-closed"}`} aria-label="Results">
      <div className="dock-bar">
        <div className="tabs" role="tablist" aria-label="Results">
          {TABS.map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              id={`tab-${each}`}
              aria-selected={each === tab}
              aria-controls="dock-panel"
              tabIndex={each === tab ? 0 : -1}
              onClick={() => show(each)}
              onKeyDown={(event) => step(event, each, show)}
            >
              {each}
              {each === "Problems" && count > 0 && <span className="count count-bad">{count}</span>}
            </button>
          ))}
        </div>
        <Outcome onTimeline={() => show("Timeline")} onProblems={() => show("Problems")} />
        <button type="button" className="icon-button dock-toggle" aria-expanded={open} aria-label={open ? "Hide results" : "Show results"} onClick={() => setOpen(!open)}>
          <Icon name={open ? "down" : "up"} />
        </button>
      </div>
      {open && (
        <div className="dock-panel" role="tabpanel" id="dock-panel" aria-labelledby={`tab-${tab}`}>
          <Panel />
        </div>
      )}
    </section>
  );
}

/** The arrow keys go from tab to tab. */
function step(event: KeyboardEvent<HTMLButtonElement>, tab: Tab, show: (tab: Tab) => void): void {
  const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (by === 0) return;
  const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length] ?? tab;
  show(next);
  document.getElementById(`tab-${next}`)?.focus();
}
