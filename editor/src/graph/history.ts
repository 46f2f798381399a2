/** Undo and redo over immutable values. */

export interface History<T> {
  readonly past: readonly T[];
  readonly now: T;
  readonly future: readonly T[];
  /** What the last change was about: more of the same is one step. */
  readonly mark: string | null;
}

const LONGEST = 200;

export function begin<T>(now: T): History<T> {
  return { past: [], now, future: [], mark: null };
}

/** Go on to `next`; with the `mark` of the change before, both become one step. */
export function change<T>(history: History<T>, next: T, mark: string | null = null): History<T> {
  if (Object.is(next, history.now)) return history;
  const merged = mark !== null && mark === history.mark;
  const past = merged ? history.past : [...history.past, history.now].slice(-LONGEST);
  return { past, now: next, future: [], mark };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return { past: history.past.slice(0, -1), now: before, future: [history.now, ...history.future], mark: null };
}

export function redo<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.now], now: after, future, mark: null };
}
