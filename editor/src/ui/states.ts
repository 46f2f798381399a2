import { type State } from "../client/protocol";

/** What a node does, in a word; the colours are in `tokens.css`. */
export const WORDS: Record<State, string> = {
  starting: "starting",
  waiting: "waiting",
  running: "running",
  blocked: "blocked",
  draining: "draining",
  done: "done",
  failed: "error",
  stopped: "stopped",
};

/** What the word means, for whoever asks. */
export const MEANINGS: Record<State, string> = {
  starting: "Getting ready.",
  waiting: "Has nothing to do until an item comes.",
  running: "At work.",
  blocked: "Has a result, but the next queue is full.",
  draining: "Takes no more items and finishes those under way.",
  done: "All items are through.",
  failed: "Ended with an error.",
  stopped: "Was stopped before its items were through.",
};
