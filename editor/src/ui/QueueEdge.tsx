import { BaseEdge, type Edge, EdgeLabelRenderer, type EdgeProps } from "@xyflow/react";
import { memo } from "react";

import { type Route } from "../graph/route";
import { useLiveEdge } from "../live/hooks";

export interface EdgeData extends Record<string, unknown> {
  readonly route: Route;
}

export type QueueEdgeType = Edge<EdgeData, "queue">;

/** One edge: the fuller its queue, the wider and warmer; its label says how full exactly. */
export const QueueEdge = memo(function QueueEdge(props: EdgeProps<QueueEdgeType>) {
  const { source, target, data, selected, id } = props;
  const fill = useLiveEdge(source, target);
  if (data === undefined) return null;
  const { path, label } = data.route;
  const share = fill && fill.maxsize > 0 ? Math.min(1, fill.size / fill.maxsize) : 0;
  const level = share >= 0.9 ? "full" : share >= 0.5 ? "high" : share > 0 ? "some" : "empty";
  return (
    <>
      <BaseEdge
        id={id}
        path={path}
        className={`queue queue-${fill ? level : "idle"} ${selected ? "selected" : ""}`}
        style={{ strokeWidth: 1.75 + 3.25 * share }}
        interactionWidth={24}
        {...(props.markerEnd === undefined ? {} : { markerEnd: props.markerEnd })}
      />
      {fill && (
        <EdgeLabelRenderer>
          <span
            className={`queue-label queue-label-${level}`}
            style={{ transform: `translate(-50%, -50%) translate(${label.x}px, ${label.y}px)` }}
          >
            {fill.size}/{fill.maxsize}
          </span>
        </EdgeLabelRenderer>
      )}
    </>
  );
});
