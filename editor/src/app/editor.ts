/** What is being edited: the graph with its history, and what is selected in it. */

import * as edit from "../graph/edit";
import { begin, change, type History, redo, undo } from "../graph/history";
import { type Dict, type Direction, EMPTY, type Graph, type GraphEdge, type Json, type Place } from "../graph/model";
import { freshName } from "../graph/names";
import { freePlace, placed, tidy } from "../graph/tidy";
import { createStore } from "./store";

export interface Selection {
  readonly nodes: ReadonlySet<string>;
  /** Edges by their id. */
  readonly edges: ReadonlySet<string>;
}

export interface Editor {
  readonly history: History<Graph>;
  readonly selection: Selection;
  /** Goes up when the picture shall be shown in whole again. */
  readonly views: number;
}

export const NOTHING: Selection = { nodes: new Set(), edges: new Set() };

export const editor = createStore<Editor>({ history: begin(EMPTY), selection: NOTHING, views: 0 });

export function graphNow(): Graph {
  return editor.get().history.now;
}

/** Change the graph, as one step of undo; changes with the same `mark` in a row are one step. */
export function update(next: (graph: Graph) => Graph, mark: string | null = null): void {
  editor.set((state) => withHistory(state, change(state.history, next(state.history.now), mark)));
}

function withHistory(state: Editor, history: History<Graph>): Editor {
  if (history === state.history) return state;
  const { nodes, edges } = history.now;
  const ids = new Set(edges.map(({ source, target }) => JSON.stringify([source, target])));
  const kept: Selection = {
    nodes: new Set([...state.selection.nodes].filter((name) => nodes.has(name))),
    edges: new Set([...state.selection.edges].filter((id) => ids.has(id))),
  };
  const same = kept.nodes.size === state.selection.nodes.size && kept.edges.size === state.selection.edges.size;
  return { ...state, history, selection: same ? state.selection : kept };
}

export function undoChange(): void {
  editor.set((state) => withHistory(state, undo(state.history)));
}

export function redoChange(): void {
  editor.set((state) => withHistory(state, redo(state.history)));
}

export function select(selection: Partial<Selection>): void {
  editor.set((state) => ({ ...state, selection: { ...NOTHING, ...selection } }));
}

export function selectNode(name: string): void {
  select({ nodes: new Set([name]) });
}

/** Start over with a graph that was kept from the last visit: there is nothing to undo. */
export function open(graph: Graph, direction: Direction): void {
  editor.set((state) => ({ history: begin(placed(graph, direction)), selection: NOTHING, views: state.views + 1 }));
}

/** Put another graph in the place of this one; undo brings it back. */
export function replace(graph: Graph, direction: Direction): void {
  update(() => placed(graph, direction));
  editor.set((state) => ({ ...state, selection: NOTHING, views: state.views + 1 }));
}

export function tidyUp(direction: Direction): void {
  update((graph) => tidy(graph, direction));
  editor.set((state) => ({ ...state, views: state.views + 1 }));
}

/** Add a node near a place and select it; returns its name. */
export function add(step: string | null, wanted: Place, args: Dict): string {
  const graph = graphNow();
  const name = freshName(step ?? "input", (each) => graph.nodes.has(each));
  update((old) => edit.addNode(old, name, step, freePlace(old, wanted), args));
  selectNode(name);
  return name;
}

export function rename(from: string, to: string): void {
  update((graph) => edit.renameNode(graph, from, to));
  selectNode(to);
}

export function setOption(name: string, group: "args" | "properties", key: string, value: Json | undefined): void {
  update((graph) => edit.setOption(graph, name, group, key, value), `${group} ${JSON.stringify([name, key])}`);
}

export function setEdgeOption(edge: GraphEdge, key: string, value: Json | undefined): void {
  const mark = `edge ${JSON.stringify([edge.source, edge.target, key])}`;
  update((graph) => edit.setEdgeOption(graph, edge, key, value), mark);
}

export function removeSelected(): void {
  const { nodes, edges } = editor.get().selection;
  update((graph) => {
    const rest = edit.removeNodes(graph, nodes);
    return { ...rest, edges: rest.edges.filter(({ source, target }) => !edges.has(JSON.stringify([source, target]))) };
  });
}
