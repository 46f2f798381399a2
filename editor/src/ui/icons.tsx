import { type ReactNode } from "react";

/** Icons are drawn here, 16 × 16, in the colour of the text they stand by. */
const SHAPES = {
  play: <path d="M5 3.2v9.6L12.6 8z" fill="currentColor" stroke="none" />,
  drain: <path d="M3 3h10M4.5 3v3.5L8 10l3.5-3.5V3M8 10v3.5" />,
  stop: <rect x="4" y="4" width="8" height="8" rx="1.5" fill="currentColor" stroke="none" />,
  apply: <path d="M3 8.5 6.5 12 13 4.5" />,
  undo: <path d="M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H7" />,
  redo: <path d="m10 3 3 3-3 3M13 6H6.5a3.5 3.5 0 0 0 0 7H9" />,
  tidy: <path d="M2.5 3h4v3.5h-4zM9.5 2.5h4V6h-4zM9.5 10h4v3.5h-4zM6.5 5h3M8 5v7h1.5" />,
  file: <path d="M4 2h5l3 3v9H4zM9 2v3h3" />,
  book: <path d="M3 3.5c2-1 3.5-.8 5 .5 1.5-1.3 3-1.5 5-.5v9c-2-1-3.5-.8-5 .5-1.5-1.3-3-1.5-5-.5zM8 4v9" />,
  search: <path d="M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5 14 14" />,
  sun: <path d="M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1" />,
  moon: <path d="M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5" />,
  auto: <><path d="M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11" /><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11" fill="currentColor" /></>,
  trash: <path d="M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9" />,
  close: <path d="m4 4 8 8M12 4l-8 8" />,
  up: <path d="M8 13V3.5M4 7l4-4 4 4" />,
  down: <path d="m4 6 4 4 4-4" />,
  warning: <path d="M8 2.5 14 13H2zM8 6.5v3M8 11.3v.2" />,
  source: <path d="M3 8h7M7 4.5 10.5 8 7 11.5M13 3v10" />,
  step: <path d="M8 2.5 13.5 8 8 13.5 2.5 8z" />,
  sink: <path d="M3 3v10M6 8h7M9.5 4.5 13 8l-3.5 3.5" />,
  input: <path d="M8 2.5v7M5 6.5l3 3 3-3M3 13h10" />,
  plus: <path d="M8 3v10M3 8h10" />,
  link: <path d="M6.8 9.2 9.2 6.8M7 4.5l1-1a3 3 0 0 1 4.5 4.5l-1 1M9 11.5l-1 1A3 3 0 0 1 3.500 8l1-1" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {SHAPES[name]}
    </svg>
  );
}
