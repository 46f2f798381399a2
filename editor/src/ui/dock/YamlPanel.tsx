import { useEffect, useRef, useState } from "react";

import { editor, update } from "../../app/editor";
import { direction } from "../../app/opening";
import { link, reason, session } from "../../app/session";
import { useStore } from "../../app/store";
import { readGraph, writeGraph } from "../../graph/document";
import { type Graph } from "../../graph/model";
import { placed } from "../../graph/tidy";

const PAUSE = 350; // milliseconds without a key before what was typed is read

/** The graph as YAML; what is typed here is drawn, and what is drawn is written here. */
export function YamlPanel() {
  const graph = useStore(editor, (state) => state.history.now);
  const online = useStore(session, (state) => state.connection === "online");
  const [text, setText] = useState("");
  const [fault, setFault] = useState("");
  const own = useRef<Graph | null>(null); // the graph that this text made: it is not written again
  const typing = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (!online || own.current === graph) return;
    let wanted = true;
    const soon = setTimeout(() => {
      link.request("export", { graph: writeGraph(graph) }).then(
        ({ yaml }) => {
          if (!wanted) return;
          setText(yaml);
          setFault("");
        },
        (error: unknown) => wanted && setFault(reason(error)),
      );
    }, 120);
    return () => {
      wanted = false;
      clearTimeout(soon);
    };
  }, [graph, online]);
  useEffect(() => () => clearTimeout(typing.current), []);
  const read = async (yaml: string) => {
    try {
      const said = await link.request("import", { yaml });
      update((old) => {
        own.current = placed(keepPlaces(readGraph(said.graph, said.layout, old.direction), old), direction());
        return own.current;
      }, "yaml");
      setFault("");
    } catch (error) {
      setFault(reason(error));
    }
  };
  return (
    <div className="panel yaml">
      <textarea
        aria-label="The graph as YAML"
        aria-invalid={fault !== ""}
        spellCheck={false}
        value={text}
        disabled={!online}
        onChange={(event) => {
          const { value } = event.target;
          setText(value);
          clearTimeout(typing.current);
          typing.current = setTimeout(() => void read(value), PAUSE);
        }}
      />
      <p className={fault ? "field-fault" : "quiet"} role="status">{fault || "Type here to change the picture."}</p>
    </div>
  );
}

/** A node that was there before stays where it was. */
function keepPlaces(next: Graph, old: Graph): Graph {
  const kept = [...next.nodes.keys()].flatMap((name) => {
    const place = next.places.get(name) ?? old.places.get(name);
    return place ? [[name, place] as const] : [];
  });
  return { ...next, places: new Map(kept) };
}
