import { type ReactNode, useId } from "react";

import { isPlain } from "../../graph/document";
import { type Json } from "../../graph/model";
import { type Field, written } from "../../graph/schema";
import { Icon } from "../icons";
import { parse } from "./parse";
import { useDraft } from "./useDraft";

interface Props {
  readonly field: Field;
  readonly value: Json | undefined;
  readonly onChange: (value: Json | undefined) => void;
  /** What the server says is wrong with it. */
  readonly faults?: readonly string[];
}

/** One field of a form: label, control, help, and what is wrong. */
export function FieldRow(props: Props) {
  if (props.field.widget === "group") return <Group {...props} />;
  if (props.field.widget === "checkbox") return <Checkbox {...props} />;
  if (props.field.widget === "choice") return <Choice {...props} />;
  if (props.field.widget === "slider") return <Slider {...props} />;
  return <Text {...props} />;
}

interface FrameProps extends Props {
  readonly id: string;
  readonly children: ReactNode;
  readonly inline?: boolean;
}

function Frame({ field, value, onChange, faults = [], id, children, inline }: FrameProps) {
  const said = value !== undefined;
  return (
    <div className={`field ${inline ? "field-inline" : ""} ${faults.length > 0 ? "field-faulty" : ""}`}>
      <div className="field-head">
        {inline && children}
        <label htmlFor={id}>{field.label}</label>
        {field.required && <span className="required" title="must be said">*</span>}
        {said && !field.required && (
          <button type="button" className="reset" onClick={() => onChange(undefined)} aria-label={`Reset ${field.label}`} title="Back to the default">
            <Icon name="undo" />
          </button>
        )}
      </div>
      {!inline && children}
      {faults.map((fault) => (
        <p key={fault} className="field-fault" role="alert">{fault}</p>
      ))}
      {field.help && <p className="help" id={`${id}-help`}>{field.help}</p>}
    </div>
  );
}

function Checkbox(props: Props) {
  const { field, value, onChange } = props;
  const id = useId();
  return (
    <Frame {...props} id={id} inline>
      <input
        id={id}
        type="checkbox"
        checked={(value ?? field.fallback) === true}
        onChange={(event) => onChange(event.target.checked === field.fallback ? undefined : event.target.checked)}
        aria-describedby={`${id}-help`}
      />
    </Frame>
  );
}

function Choice(props: Props) {
  const { field, value, onChange } = props;
  const id = useId();
  const chosen = field.choices.findIndex((choice) => JSON.stringify(choice) === JSON.stringify(value));
  const fallback = field.fallback === undefined ? "not set" : `${written(field.fallback)} (default)`;
  return (
    <Frame {...props} id={id}>
      <select id={id} value={chosen} onChange={(event) => onChange(field.choices[Number(event.target.value)])} aria-describedby={`${id}-help`}>
        {(chosen < 0 || !field.required) && <option value={-1}>{fallback}</option>}
        {field.choices.map((choice, index) => (
          <option key={written(choice)} value={index}>{written(choice)}</option>
        ))}
      </select>
    </Frame>
  );
}

function Slider(props: Props) {
  const { field, value, onChange } = props;
  const id = useId();
  const { minimum = 0, maximum = 100, whole, step = whole ? 1 : (maximum - minimum) / 200 } = field;
  const shown = value ?? field.fallback ?? minimum;
  return (
    <Frame {...props} id={id}>
      <div className="slider">
        <input
          id={id}
          type="range"
          min={minimum}
          max={maximum}
          step={step}
          value={typeof shown === "number" ? shown : minimum}
          onChange={(event) => onChange(Number(event.target.value))}
          aria-describedby={`${id}-help`}
        />
        <output htmlFor={id}>{written(shown)}</output>
      </div>
    </Frame>
  );
}

function Text(props: Props) {
  const { field, value, onChange, faults = [] } = props;
  const id = useId();
  const shown = field.widget === "lines" && Array.isArray(value) ? (value as Json[]).map(written).join("\n") : shownText(field, value);
  const draft = useDraft(shown, (text) => parse(field, text), onChange);
  const common = {
    id,
    value: draft.text,
    "aria-required": field.required,
    placeholder: field.fallback === undefined || field.fallback === null ? field.example : written(field.fallback),
    onBlur: draft.leave,
    "aria-describedby": `${id}-help`,
    "aria-invalid": draft.fault !== null || faults.length > 0,
    spellCheck: false,
  };
  const area = field.widget === "lines" || field.widget === "json";
  return (
    <Frame {...props} id={id} faults={draft.fault === null ? faults : [draft.fault]}>
      {area ? (
        <textarea {...common} rows={3} onChange={(event) => draft.change(event.target.value)} />
      ) : (
        <input
          {...common}
          type="text"
          inputMode={field.widget === "number" ? "decimal" : "text"}
          onChange={(event) => draft.change(event.target.value)}
        />
      )}
    </Frame>
  );
}

/** A value of a JSON field is shown as JSON, text too; elsewhere text stands for itself. */
function shownText(field: Field, value: Json | undefined): string {
  if (value === undefined) return "";
  return field.widget === "json" ? JSON.stringify(value) : written(value);
}

/** Fields that are said together, or not at all. */
function Group({ field, value, onChange, faults = [] }: Props) {
  const id = useId();
  const said = isPlain(value);
  const start = () => Object.fromEntries(field.fields.filter((each) => each.required).map((each) => [each.key, each.minimum ?? 1]));
  const set = (key: string, part: Json | undefined) => {
    const { [key]: before, ...rest } = said ? value : {};
    onChange(part === undefined ? rest : { ...rest, [key]: part });
  };
  return (
    <fieldset className="field group-field">
      <div className="field-head">
        <input id={id} type="checkbox" checked={said} onChange={(event) => onChange(event.target.checked ? start() : undefined)} />
        <label htmlFor={id}>{field.label}</label>
      </div>
      {field.help && <p className="help">{field.help}</p>}
      {faults.map((fault) => <p key={fault} className="field-fault" role="alert">{fault}</p>)}
      {said && field.fields.map((each) => (
        <FieldRow key={each.key} field={each} value={value[each.key]} onChange={(part) => set(each.key, part)} />
      ))}
    </fieldset>
  );
}

