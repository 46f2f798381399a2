import { type ReactNode, useEffect, useRef, useState } from "react";

import { Icon, type IconName } from "./icons";

interface Props {
  readonly label: string;
  readonly icon: IconName;
  readonly children: (close: () => void) => ReactNode;
}

/** A button that opens a list of buttons; Escape or a click elsewhere closes it. */
export function Menu({ label, icon, children }: Props) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof globalThis.Node && box.current?.contains(event.target)) return;
      setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      box.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  return (
    <div className="menu" ref={box}>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} title={label}>
        <Icon name={icon} />
        <span className="button-text">{label}</span>
        <Icon name="down" />
      </button>
      {open && <div className="menu-list">{children(() => setOpen(false))}</div>}
    </div>
  );
}
