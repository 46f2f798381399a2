/** Keys that work wherever one is, but where one types. */

import { useEffect } from "react";

import { redoChange, undoChange } from "../app/editor";
import { run, session } from "../app/session";

export function useShortcuts(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      if (event.key === "Enter" && session.get().run === null && session.get().connection === "online") void run();
      else if (isTyping(event.target)) return;
      else if (event.key.toLowerCase() === "z") (event.shiftKey ? redoChange : undoChange)();
      else if (event.key.toLowerCase() === "y") redoChange();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=range]), textarea");
}
