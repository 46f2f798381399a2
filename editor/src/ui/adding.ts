/** Adding a step to the graph, by whatever way. */

import { add } from "../app/editor";
import { session } from "../app/session";
import { type Place } from "../graph/model";
import { firstArguments } from "../graph/schema";

/** The kind of data of a step on its way from the list to the picture. */
export const DRAGGED = "application/x-pipelines-step";

/** Add a step, or an input for pushing where it is null; returns the new node's name. */
export function addStep(step: string | null, place: Place): string {
  const schema = step === null ? undefined : session.get().steps.get(step)?.args;
  return add(step, place, schema ? firstArguments(schema) : new Map());
}
