import { useCallback, useSyncExternalStore } from "react";

import { edgeId } from "../graph/model";
import { edgeKey, type EdgeLive, Live, nodeKey, type NodeLive, type Output } from "./live";
import { type Moment } from "./timeline";

/** The numbers of the one run that this page watches. */
export const live = new Live();

export function useLiveNode(name: string): NodeLive | undefined {
  const subscribe = useCallback((listener: () => void) => live.subscribe(nodeKey(name), listener), [name]);
  return useSyncExternalStore(subscribe, () => live.node(name));
}

export function useLiveEdge(source: string, target: string): EdgeLive | undefined {
  const id = edgeId(source, target);
  const subscribe = useCallback((listener: () => void) => live.subscribe(edgeKey(id), listener), [id]);
  return useSyncExternalStore(subscribe, () => live.edge(source, target));
}

const subscribeOutput = (listener: () => void) => live.subscribe("output", listener);
const subscribeTimeline = (listener: () => void) => live.subscribe("timeline", listener);

export function useOutput(): Output {
  return useSyncExternalStore(subscribeOutput, () => live.output);
}

/** The moments of the run so far, once a second: a whole run is too much to draw with each frame. */
export function useTimeline(): readonly Moment[] {
  useSyncExternalStore(subscribeTimeline, () => live.second);
  return live.timeline;
}
