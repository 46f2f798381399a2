/** Light, dark, or as the system says; kept in this browser. */

import { useEffect, useState } from "react";

export type Theme = "auto" | "light" | "dark";

const KEY = "pipelines.theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

function kept(): Theme {
  try {
    const said = localStorage.getItem(KEY);
    return said === "light" || said === "dark" ? said : "auto";
  } catch {
    return "auto";
  }
}

export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(kept);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds until the page is closed.
    }
  }, [theme]);
  return [theme, () => setTheme(NEXT[theme])];
}
