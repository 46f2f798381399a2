import { useRef } from "react";

import { editor, redoChange, tidyUp, undoChange } from "../app/editor";
import { direction, openGraph } from "../app/opening";
import { apply, edited, run, say, session, stop } from "../app/session";
import { useStore } from "../app/store";
import { type Example } from "../client/protocol";
import { readGraph } from "../graph/document";
import { copyLink, exportFile, importFile } from "./files";
import { Icon, type IconName } from "./icons";
import { Menu } from "./Menu";
import { type Theme, useTheme } from "./theme";

/** What is done with the graph as a whole. */
export function TopBar() {
  return (
    <header className="topbar">
      <h1>
        <img src="/favicon.svg" alt="" width="22" height="22" /> Pipelines
      </h1>
      <Examples />
      <RunButtons />
      <EditButtons />
      <FileMenu />
      <ThemeButton />
      <ConnectionState />
    </header>
  );
}

interface ActionProps {
  readonly icon: IconName;
  readonly label: string;
  readonly title?: string;
  readonly className?: string;
  readonly disabled?: boolean;
  readonly quiet?: boolean;
  readonly onClick: () => void;
}

function Action({ icon, label, title, className, disabled, quiet, onClick }: ActionProps) {
  return (
    <button type="button" className={className} disabled={disabled} onClick={onClick} title={title ?? label} aria-label={label}>
      <Icon name={icon} />
      {!quiet && <span className="button-text">{label}</span>}
    </button>
  );
}

function Examples() {
  const examples = useStore(session, (state) => state.hello?.examples);
  const open = (example: Example) => {
    try {
      openGraph(readGraph(example.graph));
    } catch (error) {
      say("bad", String(error));
    }
  };
  return (
    <Menu label="Examples" icon="book">
      {(close) =>
        examples?.map((example) => (
          <button
            key={example.name}
            type="button"
            onClick={() => {
              open(example);
              close();
            }}
          >
            <strong>{example.title}</strong>
            <span>{example.doc.split("\n", 1)[0]}</span>
          </button>
        )) ?? <p className="quiet">Not connected yet.</p>
      }
    </Menu>
  );
}

function RunButtons() {
  const running = useStore(session, (state) => state.run);
  const online = useStore(session, (state) => state.connection === "online");
  const faulty = useStore(session, (state) => state.problems.length > 0);
  const empty = useStore(editor, (state) => state.history.now.nodes.size === 0);
  const changed = useEdited();
  if (running === null) {
    const why = !online ? "Not connected." : empty ? "There is nothing to run." : faulty ? "Problems below say what to mend." : "Run the graph (Ctrl+Enter)";
    return (
      <div className="group">
        <Action icon="play" label="Run" title={why} className="primary" disabled={!online || empty} onClick={() => void run()} />
      </div>
    );
  }
  const busy = running.phase !== "running" || !online;
  return (
    <div className="group">
      {changed && (
        <Action icon="apply" label={running.phase === "applying" ? "Applying…" : "Apply"} title="Send your changes into the run; only what changed is replaced" className="primary" disabled={busy} onClick={() => void apply()} />
      )}
      <Action icon="drain" label={running.phase === "draining" ? "Draining…" : "Drain"} title="Take no more items and finish those under way" disabled={busy} onClick={() => void stop("drain")} />
      <Action icon="stop" label="Stop" title="Stop now; items under way are given up" className="danger" disabled={running.phase === "stopping" || !online} onClick={() => void stop("now")} />
    </div>
  );
}

/** Whether the graph differs from what runs. */
function useEdited(): boolean {
  useStore(editor, (state) => state.history.now);
  return useStore(session, edited);
}

function EditButtons() {
  const undoable = useStore(editor, (state) => state.history.past.length > 0);
  const redoable = useStore(editor, (state) => state.history.future.length > 0);
  return (
    <div className="group editing">
      <Action icon="undo" label="Undo" title="Undo (Ctrl+Z)" quiet disabled={!undoable} onClick={undoChange} />
      <Action icon="redo" label="Redo" title="Redo (Ctrl+Shift+Z)" quiet disabled={!redoable} onClick={redoChange} />
      <Action icon="tidy" label="Tidy" title="Lay the graph out anew" onClick={() => tidyUp(direction())} />
    </div>
  );
}

function FileMenu() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Menu label="Import / Export" icon="file">
        {(close) => {
          const then = (action: () => unknown) => () => {
            action();
            close();
          };
          return (
            <>
              <button type="button" onClick={then(() => input.current?.click())}>
                <strong>Import…</strong>
                <span>Open a graph from a YAML or JSON file</span>
              </button>
              <button type="button" onClick={then(() => void exportFile())}>
                <strong>Export</strong>
                <span>Save the graph as YAML, for plumber run</span>
              </button>
              <button type="button" onClick={then(() => void copyLink())}>
                <strong>Copy link</strong>
                <span>The graph in a link, without the token</span>
              </button>
            </>
          );
        }}
      </Menu>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Graph file"
        accept=".yaml,.yml,.json"
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) void importFile(file);
          event.target.value = "";
        }}
      />
    </>
  );
}

const THEMES: Record<Theme, [IconName, string]> = {
  auto: ["auto", "Colours: as the system"],
  light: ["sun", "Colours: light"],
  dark: ["moon", "Colours: dark"],
};

function ThemeButton() {
  const [theme, next] = useTheme();
  const [icon, label] = THEMES[theme];
  return <Action icon={icon} label={label} quiet className="theme" onClick={next} />;
}

const CONNECTION = {
  connecting: "Connecting…",
  online: "Connected",
  offline: "Reconnecting…",
  refused: "Not let in",
};

function ConnectionState() {
  const connection = useStore(session, (state) => state.connection);
  const hello = useStore(session, (state) => state.hello);
  const versions = hello ? `pipelines ${hello.versions.pipelines}, Python ${hello.versions.python}` : "";
  return (
    <span className={`connection connection-${connection}`} role="status" title={versions}>
      {CONNECTION[connection]}
    </span>
  );
}
