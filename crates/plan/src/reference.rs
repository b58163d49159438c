//! The reference of the configuration, made from its JSON schema and the list
//! of kinds, so that it cannot say anything else than the program does.

use std::fmt::Write as _;

use access::{Kind, RULES, Streams};
use serde_json::Value;

use crate::check::words;
use crate::document::schema;

/// The reference as Markdown.
pub fn reference() -> String {
    let mut page = Page {
        root: schema(),
        told: Vec::new(),
        out: String::from(
            "# Configuration reference\n\nGenerated from the schema; do not edit. `tollgate config \
             schema` prints the schema itself, for editors. How to begin: \
             [Configuration](../configuration.md).\n\n",
        ),
    };
    let root = page.root;
    let said = description(root);
    writeln!(page.out, "{said}\n").expect("a String takes all");
    page.section("tollgate.yaml", root);
    page.kinds();
    page.out
}

/// A page for each kind of policy rule: its name and its Markdown.
pub fn rule_pages() -> Vec<(&'static str, String)> {
    RULES
        .iter()
        .map(|kind| (kind.name, rule_page(kind)))
        .collect()
}

fn rule_page(kind: &Kind) -> String {
    let mut page = Page {
        root: schema(),
        told: Vec::new(),
        out: format!(
            "# The rule `{}`\n\nGenerated from the code; do not edit. How rules work together: \
             [Policy](../../policy.md).\n\n{}\n\n## Example\n\n```yaml\npolicy:\n  rules:\n    - \
             name: my-{}\n      mode: enforce\n      {}: {}\n```\n\n## Streams\n\n{}\n\n",
            kind.name,
            kind.doc,
            kind.name.replace('_', "-"),
            kind.name,
            kind.example,
            on_streams(kind.streams),
        ),
    };
    let rule = page.root.pointer("/$defs/Rule/properties");
    if let Some(field) = rule.and_then(|fields| fields.get(kind.name)) {
        let (_, below) = page.value(field, kind.name);
        for (path, schema) in below {
            page.section(&path, schema);
        }
    }
    page.out.truncate(page.out.trim_end().len());
    page.out.push('\n');
    page.out
}

fn on_streams(streams: Streams) -> String {
    match streams {
        Streams::Before => "It decides before anything is sent, so a stream is like any other \
                            answer."
            .to_owned(),
        Streams::Incremental => "`incremental`: it looks at each frame before the caller gets it. \
                                 A stream that breaks it ends with an error in the stream; what \
                                 came before has been passed on."
            .to_owned(),
        Streams::Buffered(limit) => format!(
            "`buffered`: it needs the whole answer. In mode `enforce` or `warn` a stream is held \
             back whole, up to {limit} bytes, and then given at once; a longer one is refused. In \
             mode `shadow` the stream passes as it comes."
        ),
        Streams::Refused => "`refused`: it needs the whole answer and does not hold streams back, \
                             so a call that asks for a stream is refused."
            .to_owned(),
    }
}

struct Page<'a> {
    root: &'a Value,
    /// Objects that have a section, with its title.
    told: Vec<(&'a Value, String)>,
    out: String,
}

impl<'a> Page<'a> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// The table of an object, then the sections of the objects below it.
    fn section(&mut self, title: &str, schema: &'a Value) {
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let told = self
            .told
            .iter()
            .find(|(known, _)| std::ptr::eq(*known, schema));
        if let Some((_, first)) = told {
            let first = first.clone();
            self.line(&format!("## `{title}`\n\nThe fields of `{first}`.\n"));
            return;
        }
        self.told.push((schema, title.to_owned()));
        let path = if title == "tollgate.yaml" { "" } else { title };
        self.line(&format!("## `{title}`\n"));
        if !path.is_empty() {
            self.line(&format!("{}\n", description(schema)));
        }
        self.line("| field | value | default | what it is |");
        self.line("|---|---|---|---|");
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut below = Vec::new();
        for (name, field) in fields {
            let resolved = self.resolve(field);
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let default = match (required.contains(&name.as_str()), field.get("default")) {
                (true, _) => "needed".to_owned(),
                (false, Some(Value::Object(_) | Value::Array(_) | Value::Null) | None) => {
                    String::new()
                }
                (false, Some(Value::String(text))) => format!("`{text}`"),
                (false, Some(other)) => format!("`{other}`"),
            };
            let what = match description(field) {
                text if text.is_empty() => description(resolved),
                text => text,
            };
            let (value, mut found) = self.value(field, &path);
            let choices = self.choices(field);
            self.line(&format!(
                "| `{name}` | {value} | {default} | {what}{choices} |"
            ));
            below.append(&mut found);
        }
        self.line("");
        for (path, schema) in below {
            self.section(&path, schema);
        }
    }

    /// The kind of value, and the objects in it with their paths.
    fn value(&self, field: &'a Value, path: &str) -> (String, Vec<(String, &'a Value)>) {
        let schema = self.resolve(field);
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let branches = branches.iter().filter(|branch| !is_type(branch, "null"));
            let parts: Vec<_> = branches.map(|branch| self.value(branch, path)).collect();
            let words: Vec<&str> = parts.iter().map(|(word, _)| word.as_str()).collect();
            let mut found: Vec<(String, &Value)> = Vec::new();
            for (path, schema) in parts.iter().flat_map(|(_, found)| found) {
                if !found.iter().any(|(_, known)| std::ptr::eq(*known, *schema)) {
                    found.push((path.clone(), schema));
                }
            }
            return (words.join(", or "), found);
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return (format!("`{word}`"), Vec::new());
        }
        if words(schema).is_some() {
            return ("a word".to_owned(), Vec::new());
        }
        if is_type(schema, "array") {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let (word, found) = self.value(items, &format!("{path}[]"));
            return (format!("list of {}", word.trim_start_matches("a ")), found);
        }
        if let Some(each) = schema
            .get("additionalProperties")
            .filter(|each| each.is_object())
        {
            let (word, found) = self.value(each, &format!("{path}.<name>"));
            return (format!("names, each with {word}"), found);
        }
        if is_type(schema, "object") {
            return ("fields below".to_owned(), vec![(path.to_owned(), schema)]);
        }
        (plain(schema).to_owned(), Vec::new())
    }

    /// The words of an enumeration, with what each means where that is said.
    fn choices(&self, field: &'a Value) -> String {
        let schema = self.resolve(field);
        let schema = match schema.get("items") {
            Some(items) => self.resolve(items),
            None => schema,
        };
        if let Some(branches) = schema.get("oneOf").and_then(Value::as_array) {
            let one = |branch: &Value| {
                let word = branch
                    .get("const")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                format!("`{word}`: {}", description(branch))
            };
            return format!(
                " {}",
                branches.iter().map(one).collect::<Vec<_>>().join(" ")
            );
        }
        match schema.get("enum").and_then(Value::as_array) {
            Some(_) if schema.get("title") == Some(&Value::from("Kind")) => {
                " The kinds are listed below.".to_owned()
            }
            Some(names) => {
                let names: Vec<String> = names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|name| format!("`{name}`"))
                    .collect();
                format!(" One of {}.", names.join(", "))
            }
            None => String::new(),
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let schema = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
                .unwrap_or(schema),
            None => schema,
        };
        match schema
            .get("anyOf")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([one, other]) if is_type(other, "null") => self.resolve(one),
            _ => schema,
        }
    }

    fn kinds(&mut self) {
        self.line("## Kinds of providers\n");
        self.line("| kind | what it is | address | found by | dialects | serves |");
        self.line("|---|---|---|---|---|---|");
        for kind in providers::kinds() {
            let code = |names: &[&str]| {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                names.join(", ")
            };
            let address = match (kind.base_url, kind.provider.local()) {
                (_, Some(_)) => "in the gateway".to_owned(),
                (Some(url), None) => format!("`{url}`"),
                (None, None) => "yours".to_owned(),
            };
            let mut found: Vec<&str> = kind.key_env.to_vec();
            if let Some(signing) = kind.signing {
                found.extend(signing.announcing());
            }
            found.extend(kind.url_env);
            let port = kind
                .local_port
                .map(|port| format!(" port {port}"))
                .unwrap_or_default();
            self.line(&format!(
                "| `{}` | {} | {address} | {}{port} | {} | {} |",
                kind.name,
                kind.doc,
                code(&found),
                code(kind.dialects),
                code(kind.serves).replace('|', "\\|"),
            ));
        }
    }
}

fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|")
}

fn is_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

fn plain(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("duration-text") => return "a duration",
        Some("size-text") => return "a size",
        Some("dollars-text") => return "dollars",
        Some("factor-text") => return "a factor",
        Some("day-text") => return "a day",
        _ => {}
    }
    if schema.get("writeOnly") == Some(&Value::Bool(true)) {
        "a secret"
    } else if is_type(schema, "boolean") {
        "`true` or `false`"
    } else if is_type(schema, "integer") {
        "a number"
    } else {
        "a text"
    }
}
