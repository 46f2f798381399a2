import {
  Background,
  BackgroundVariant,
  type Connection,
  Controls,
  type EdgeChange,
  type EdgeTypes,
  type FinalConnectionState,
  type NodeChange,
  type NodeTypes,
  ReactFlow,
  useNodesInitialized,
  useReactFlow,
} from "@xyflow/react";
import { type DragEvent, useCallback, useEffect, useMemo, useState } from "react";

import { editor, graphNow, removeSelected, select, type Selection, update } from "../app/editor";
import { kindOf, say } from "../app/session";
import { useStore } from "../app/store";
import { connect, move } from "../graph/edit";
import { edgeId, type Graph, type Place } from "../graph/model";
import { boxesOf, type Route, routeAll } from "../graph/route";
import { edgeFault } from "../graph/wiring";
import { addStep, DRAGGED } from "./adding";
import { type CardNode, NodeCard } from "./NodeCard";
import { QueueEdge, type QueueEdgeType } from "./QueueEdge";

const NODE_TYPES: NodeTypes = { card: NodeCard };
const EDGE_TYPES: EdgeTypes = { queue: QueueEdge };
const FIT = { padding: 0.14, maxZoom: 1 };

/** What the picture knows and the graph does not: sizes on the screen, and where a drag is now. */
interface Local {
  readonly measured: ReadonlyMap<string, { width: number; height: number }>;
  readonly dragged: ReadonlyMap<string, Place>;
}

const kindIn = (graph: Graph) => (name: string) => kindOf(graph.nodes.get(name)?.step);

/** The drawing: cards and the queues between them. */
export function Canvas() {
  const graph = useStore(editor, (state) => state.history.now);
  const selection = useStore(editor, (state) => state.selection);
  const [local, setLocal] = useState<Local>({ measured: new Map(), dragged: new Map() });
  const nodes = useMemo(() => cardsOf(graph, selection, local), [graph, selection, local]);
  const routes = useMemo(() => routesOf(graph, local), [graph, local]);
  const edges = useMemo(() => edgesOf(graph, selection, routes), [graph, selection, routes]);
  const onNodesChange = useCallback((changes: NodeChange<CardNode>[]) => {
    followSelection(changes, "nodes");
    setLocal((old) => followMoves(old, changes));
    commitMoves(changes);
  }, []);
  const onEdgesChange = useCallback((changes: EdgeChange<QueueEdgeType>[]) => followSelection(changes, "edges"), []);
  const { onDrop, onDragOver } = useDrop();
  useWholeView();
  return (
    <div className="canvas" onDrop={onDrop} onDragOver={onDragOver}>
      <ReactFlow<CardNode, QueueEdgeType>
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onConnect={onConnect}
        onConnectEnd={onConnectEnd}
        onBeforeDelete={onBeforeDelete}
        isValidConnection={isValid}
        deleteKeyCode={["Delete", "Backspace"]}
        multiSelectionKeyCode={["Shift", "Meta", "Control"]}
        minZoom={0.2}
        maxZoom={1.6}
        fitView
        fitViewOptions={FIT}
        zoomOnDoubleClick={false}
        aria-label="The graph"
      >
        <Background variant={BackgroundVariant.Dots} gap={20} size={1.5} />
        <Controls showInteractive={false} fitViewOptions={FIT} position="bottom-left" />
      </ReactFlow>
      {graph.nodes.size === 0 && <p className="canvas-empty">Add a step from the list, or open an example.</p>}
    </div>
  );
}

function cardsOf(graph: Graph, { nodes }: Selection, { measured, dragged }: Local): CardNode[] {
  return [...graph.nodes.values()].map((node) => {
    const size = measured.get(node.name);
    return {
      id: node.name,
      type: "card",
      data: node as CardNode["data"],
      position: dragged.get(node.name) ?? graph.places.get(node.name) ?? { x: 0, y: 0 },
      selected: nodes.has(node.name),
      ariaLabel: `${node.name}, ${node.step ?? "push input"}`,
      ...(size ? { measured: size } : {}),
    };
  });
}

function edgesOf(graph: Graph, { edges }: Selection, routes: ReadonlyMap<string, Route>): QueueEdgeType[] {
  return graph.edges.flatMap(({ source, target }) => {
    const id = edgeId(source, target);
    const route = routes.get(id);
    if (route === undefined) return [];
    const ariaLabel = `from ${source} to ${target}`;
    return [{ id, source, target, type: "queue" as const, selected: edges.has(id), ariaLabel, data: { route } }];
  });
}

/** Route the edges from where the cards are on the screen, which in a drag the graph does not know. */
function routesOf(graph: Graph, { measured, dragged }: Local): Map<string, Route> {
  const places = new Map([...graph.places, ...dragged]);
  return routeAll(graph, boxesOf({ ...graph, places }, measured));
}

function followSelection(changes: readonly (NodeChange<CardNode> | EdgeChange<QueueEdgeType>)[], part: keyof Selection): void {
  const chosen = changes.filter((change) => change.type === "select");
  if (chosen.length === 0) return;
  const { selection } = editor.get();
  const names = new Set(selection[part]);
  for (const { id, selected } of chosen) {
    if (selected) names.add(id);
    else names.delete(id);
  }
  select({ ...selection, [part]: names });
}

function followMoves(old: Local, changes: readonly NodeChange<CardNode>[]): Local {
  const measured = new Map(old.measured);
  const dragged = new Map(old.dragged);
  for (const change of changes) {
    if (change.type === "dimensions" && change.dimensions) measured.set(change.id, change.dimensions);
    if (change.type === "position" && change.position && change.dragging) dragged.set(change.id, change.position);
    if (change.type === "position" && !change.dragging) dragged.delete(change.id);
  }
  return { measured, dragged };
}

/** Keep where cards were dropped, or stepped to with the arrow keys: many such steps are one move. */
function commitMoves(changes: readonly NodeChange<CardNode>[]): void {
  const moved = changes.flatMap((change) =>
    change.type === "position" && change.dragging !== true && change.position ? [[change.id, change.position] as const] : [],
  );
  const { places } = graphNow();
  const real = moved.filter(([name, { x, y }]) => places.get(name)?.x !== x || places.get(name)?.y !== y);
  if (real.length > 0) update((graph) => move(graph, real), `move ${JSON.stringify(real.map(([name]) => name))}`);
}

function isValid({ source, target }: { source: string; target: string }): boolean {
  return edgeFault(graphNow(), kindIn(graphNow()), source, target) === null;
}

function onConnect({ source, target }: Connection): void {
  update((graph) => connect(graph, source, target));
}

/** Say why a line that was drawn to a node did not become an edge. */
function onConnectEnd(_: unknown, { fromNode, toNode, fromHandle, isValid: valid }: FinalConnectionState): void {
  if (valid !== false || toNode === null) return;
  const [source, target] = fromHandle.type === "target" ? [toNode.id, fromNode.id] : [fromNode.id, toNode.id];
  const fault = edgeFault(graphNow(), kindIn(graphNow()), source, target);
  if (fault !== null) say("info", fault);
}

/** The graph decides what goes, so that undo brings a node back with its edges. */
function onBeforeDelete(): Promise<boolean> {
  removeSelected();
  return Promise.resolve(false);
}

function useDrop() {
  const { screenToFlowPosition } = useReactFlow();
  const onDragOver = useCallback((event: DragEvent) => {
    if (event.dataTransfer.types.includes(DRAGGED)) event.preventDefault();
  }, []);
  const onDrop = useCallback(
    (event: DragEvent) => {
      const dragged = event.dataTransfer.getData(DRAGGED);
      if (dragged === "") return;
      event.preventDefault();
      const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
      addStep(JSON.parse(dragged) as string | null, { x: x - 116, y: y - 40 });
    },
    [screenToFlowPosition],
  );
  return { onDrop, onDragOver };
}

/** Show the whole graph when another one was opened, or it was tidied. */
function useWholeView(): void {
  const views = useStore(editor, (state) => state.views);
  const ready = useNodesInitialized();
  const { fitView } = useReactFlow();
  useEffect(() => {
    if (!ready) return;
    const soon = requestAnimationFrame(() => void fitView(FIT));
    return () => cancelAnimationFrame(soon);
  }, [views, ready, fitView]);
}
