import { editor, update } from "../app/editor";
import { useStore } from "../app/store";
import { setRest } from "../graph/edit";
import { edgeId, type Graph } from "../graph/model";
import { EdgePanel } from "./EdgePanel";
import { NodePanel } from "./NodePanel";

/** What is said of the one thing that is selected. */
export function Inspector() {
  const graph = useStore(editor, (state) => state.history.now);
  const { nodes, edges } = useStore(editor, (state) => state.selection);
  const [name] = nodes;
  const node = nodes.size === 1 && edges.size === 0 ? graph.nodes.get(name ?? "") : undefined;
  const edge = nodes.size === 0 && edges.size === 1 ? graph.edges.find((each) => edges.has(edgeId(each.source, each.target))) : undefined;
  return (
    <aside className="inspector" aria-label="Details">
      {node && <NodePanel key={node.name} graph={graph} node={node} />}
      {edge && <EdgePanel key={edgeId(edge.source, edge.target)} edge={edge} />}
      {!node && !edge && (nodes.size + edges.size > 1 ? <Several count={nodes.size + edges.size} /> : <GraphPanel graph={graph} />)}
    </aside>
  );
}

function Several({ count }: { readonly count: number }) {
  return (
    <header className="panel-head">
      <h2>{count} selected</h2>
      <p className="doc">Drag to move them together; Delete removes them.</p>
    </header>
  );
}

function GraphPanel({ graph }: { readonly graph: Graph }) {
  const name = graph.rest.get("name");
  return (
    <>
      <header className="panel-head">
        <h2>Graph</h2>
        <p className="doc">{graph.nodes.size} nodes, {graph.edges.length} edges</p>
      </header>
      <div className="field">
        <label htmlFor="graph-name">Name</label>
        <input
          id="graph-name"
          type="text"
          value={typeof name === "string" ? name : ""}
          placeholder="unnamed"
          onChange={(event) => update((old) => setRest(old, "name", event.target.value || undefined), "name")}
        />
      </div>
      <section className="panel-section hints" aria-label="How to draw">
        <h3>How to draw</h3>
        <ul>
          <li>Drag a step into the picture, or click it.</li>
          <li>Draw from the dot at a card’s end to the next card, or select a card and choose <em>Connect to…</em></li>
          <li>Select a card or an edge to set what it does.</li>
          <li><kbd>Tab</kbd> goes from card to card, <kbd>Enter</kbd> selects, arrows move, <kbd>Delete</kbd> removes.</li>
          <li><kbd>Ctrl</kbd> <kbd>Enter</kbd> runs, <kbd>Ctrl</kbd> <kbd>Z</kbd> undoes.</li>
        </ul>
      </section>
    </>
  );
}
