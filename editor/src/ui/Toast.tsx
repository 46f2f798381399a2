import { useEffect } from "react";

import { hush, session } from "../app/session";
import { useStore } from "../app/store";
import { Icon } from "./icons";

const STAYS = { info: 12_000, good: 4_000, bad: 15_000 };

/** A word to the person; it goes by itself, or with a click. */
export function Toast() {
  const notice = useStore(session, (state) => state.notice);
  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(hush, STAYS[notice.kind]);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {notice && (
        <p className={`toast toast-${notice.kind}`}>
          <span>{notice.text}</span>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={hush}>
            <Icon name="close" />
          </button>
        </p>
      )}
    </div>
  );
}
