//! The deterministic model: a `Prompt` in, a `Reply` out, the same for every dialect.
//!
//! Trigger phrases are the public contract of the fake; they are listed in `UPSTREAM.md`.
//! Deliberately not here: wire shapes, and faults of the transport.

use super::prompt::{Format, Prompt, Surface, Thinking, Tool, ToolChoice};
use super::seal::seal;
use super::{schema, tokens};
use serde_json::{Value, json};

/// One block of an answer, in the order in which it is said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Thinking {
        text: String,
        seal: String,
    },
    /// Reasoning of which the caller only gets an opaque blob.
    Redacted {
        seal: String,
    },
    Text {
        text: String,
        cite: bool,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        custom: bool,
    },
    Refusal {
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Tools,
    Refusal,
}

/// Disjoint token classes; `input` excludes what was read from or written to a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    /// Visible output, without reasoning.
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

impl Usage {
    pub(crate) fn input_total(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    pub(crate) fn output_total(&self) -> u64 {
        self.output + self.reasoning
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) parts: Vec<Part>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
}

impl Reply {
    /// All visible text, joined.
    pub(crate) fn text(&self) -> String {
        self.parts
            .iter()
            .filter_map(|p| match p {
                Part::Text { text, .. } => Some(text.as_str()),
                Part::Thinking { .. }
                | Part::Redacted { .. }
                | Part::Call { .. }
                | Part::Refusal { .. } => None,
            })
            .collect()
    }
}

/// Words that the mind looks for in the last user text.
pub(crate) mod triggers {
    pub(crate) const REFUSE: &str = "please refuse";
    pub(crate) const TOOLS: [&str; 3] = ["weather", "use the tool", "call the tool"];
    pub(crate) const PARALLEL: [&str; 2] = ["both", "parallel"];
    pub(crate) const CACHED: &str = "cached";
    pub(crate) const SYSTEM: &str = "repeat your instructions";
    pub(crate) const UNICODE: &str = "unicode";
    pub(crate) const COUNT: &str = "count to ";
    pub(crate) const EXACTLY: &str = "say exactly: ";
    pub(crate) const CITE: &str = "cite";
    pub(crate) const REDACTED: &str = "redacted";
    pub(crate) const TURNS: &str = "how many turns";
    pub(crate) const EMPTY_ARGUMENTS: &str = "empty arguments";
}

/// Highest number that "count to N" counts to.
const COUNT_MAX: usize = 20_000;

/// Answers a prompt.
pub(crate) fn answer(p: &Prompt, surface: Surface) -> Reply {
    let mut parts = Vec::new();
    let finish = match think(p, surface, &mut parts) {
        Thought::Done(left) => speak(p, left, &mut parts),
        Thought::CutShort => Finish::Length,
    };
    let usage = bill(p, &parts);
    Reply {
        parts,
        finish,
        usage,
    }
}

/// What thinking leaves of the output limit, which in every vendor's API counts
/// the reasoning too.
enum Thought {
    /// So many tokens; `None` is no limit.
    Done(Option<u64>),
    /// Nothing: the limit fell within the reasoning.
    CutShort,
}

fn think(p: &Prompt, surface: Surface, parts: &mut Vec<Part>) -> Thought {
    if p.thinking == Thinking::Off {
        return Thought::Done(p.max_tokens);
    }
    let gist: String = p.last_user.chars().take(60).collect();
    let full = format!("Considering “{gist}” — 考え中 (turn {}).", p.turns);
    let (text, cut) = tokens::cut(&full, p.max_tokens.unwrap_or(u64::MAX));
    let text = text.to_owned();
    let sealed = seal(surface.seal_name(), &text);
    if p.last_user.to_lowercase().contains(triggers::REDACTED) {
        parts.push(Part::Redacted {
            seal: seal(surface.seal_name(), "redacted"),
        });
    }
    let spent = tokens::count(&text);
    parts.push(Part::Thinking { text, seal: sealed });
    if cut {
        return Thought::CutShort;
    }
    Thought::Done(p.max_tokens.map(|limit| limit - spent))
}

fn speak(p: &Prompt, tokens_max: Option<u64>, parts: &mut Vec<Part>) -> Finish {
    let lower = p.last_user.to_lowercase();
    if lower.contains(triggers::REFUSE) {
        parts.push(Part::Refusal {
            text: "I'm sorry, I can't help with that.".to_owned(),
        });
        return Finish::Refusal;
    }
    let calls = wanted_calls(p, &lower);
    if !calls.is_empty() {
        // A model often says a word before it calls; "quietly" keeps it silent.
        if lower.contains("think aloud") {
            parts.push(Part::Text {
                text: "Let me look that up.".to_owned(),
                cite: false,
            });
        }
        parts.extend(calls);
        return Finish::Tools;
    }
    let full = compose(p, &lower);
    let (text, finish) = shorten(p, tokens_max, &full);
    if !text.is_empty() {
        parts.push(Part::Text {
            text: text.to_owned(),
            cite: lower.contains(triggers::CITE),
        });
    }
    finish
}

fn wanted_calls(p: &Prompt, lower: &str) -> Vec<Part> {
    let chosen: Vec<&Tool> = match &p.choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Named(name) => p.tools.iter().filter(|t| &t.name == name).collect(),
        ToolChoice::Any => p.tools.iter().collect(),
        ToolChoice::Auto if !p.results.is_empty() => Vec::new(),
        ToolChoice::Auto => {
            let asked = triggers::TOOLS.iter().any(|t| lower.contains(t));
            let named: Vec<&Tool> = p
                .tools
                .iter()
                .filter(|t| lower.contains(&t.name.to_lowercase()))
                .collect();
            match (asked, named.is_empty()) {
                (_, false) => named,
                (true, true) => p.tools.iter().collect(),
                (false, true) => Vec::new(),
            }
        }
    };
    if chosen.is_empty() {
        return Vec::new();
    }
    let several = p.parallel && triggers::PARALLEL.iter().any(|t| lower.contains(t));
    let number = if several { 2 } else { 1 };
    (0..number)
        .map(|n| call(p, chosen[n % chosen.len()], n, lower))
        .collect()
}

fn call(p: &Prompt, tool: &Tool, nth: usize, lower: &str) -> Part {
    let arguments = match (tool.custom, lower.contains(triggers::EMPTY_ARGUMENTS)) {
        (true, _) => format!("input for {}", tool.name),
        (false, true) => "{}".to_owned(),
        (false, false) => schema::instance(&tool.schema, &p.last_user, nth).to_string(),
    };
    Part::Call {
        id: format!("{}{nth}", p.seed),
        name: tool.name.clone(),
        arguments,
        custom: tool.custom,
    }
}

fn compose(p: &Prompt, lower: &str) -> String {
    match &p.format {
        Format::Schema(schema) => return schema::instance(schema, &p.last_user, 0).to_string(),
        Format::JsonObject => return json!({"answer": p.last_user, "ok": true}).to_string(),
        Format::Text => {}
    }
    if !p.results.is_empty() {
        return report(p);
    }
    if let Some(at) = lower.find(triggers::EXACTLY)
        && let Some(rest) = p.last_user.get(at + triggers::EXACTLY.len()..)
    {
        return rest.to_owned();
    }
    if let Some(n) = number_after(lower, triggers::COUNT) {
        let numbers: Vec<String> = (1..=n.min(COUNT_MAX)).map(|i| i.to_string()).collect();
        return numbers.join(" ");
    }
    if lower.contains(triggers::SYSTEM) {
        return format!("My instructions are: {}", p.system);
    }
    if lower.contains(triggers::TURNS) {
        return format!("This conversation has {} turns.", p.turns);
    }
    if lower.contains(triggers::UNICODE) {
        return "naïve 東京 🦀👩‍👩‍👧 a\u{2028}b\u{2029}c\u{85}d \"quoted\" back\\slash\ttab\nnew line"
            .to_owned();
    }
    if !p.media.is_empty() {
        return format!("{} You said: {}", inventory(p), p.last_user);
    }
    match &p.prefill {
        Some(start) => format!(" and so on, after “{start}”."),
        None => format!("You said: {}", p.last_user),
    }
}

/// "The tools report: 18 degrees; error: no such city."
fn report(p: &Prompt) -> String {
    let lines: Vec<String> = p
        .results
        .iter()
        .map(|r| match r.is_error {
            true => format!("error: {}", r.text),
            false => r.text.clone(),
        })
        .collect();
    // Chat has no images in tool results: there they follow in a user message of their own.
    match p.media.is_empty() {
        true => format!("The tools report: {}.", lines.join("; ")),
        false => format!("The tools report: {}. {}", lines.join("; "), inventory(p)),
    }
}

/// "I see 2 images (image/png 68 bytes, https://…), 1 audio (…)." in order of appearance.
fn inventory(p: &Prompt) -> String {
    let mut said = Vec::new();
    for (kind, plural) in [
        ("image", "images"),
        ("audio", "audios"),
        ("file", "files"),
        ("video", "videos"),
    ] {
        let items: Vec<String> = p
            .media
            .iter()
            .filter(|m| m.kind == kind)
            .map(|m| match m.bytes {
                Some(n) => format!("{} {n} bytes", m.mime),
                None => m.mime.clone(),
            })
            .collect();
        if !items.is_empty() {
            let noun = if items.len() == 1 { kind } else { plural };
            said.push(format!("{} {noun} ({})", items.len(), items.join(", ")));
        }
    }
    format!("I see {}.", said.join(" and "))
}

fn shorten<'a>(p: &Prompt, tokens_max: Option<u64>, full: &'a str) -> (&'a str, Finish) {
    let stop = p
        .stop
        .iter()
        .filter(|s| !s.is_empty())
        .filter_map(|s| Some((full.find(s.as_str())?, s)))
        .min();
    let (text, finish) = match stop {
        Some((at, word)) => (&full[..at], Finish::StopSequence(word.clone())),
        None => (full, Finish::Stop),
    };
    match tokens_max.map(|limit| tokens::cut(text, limit)) {
        Some((short, true)) => (short, Finish::Length),
        Some((_, false)) | None => (text, finish),
    }
}

fn bill(p: &Prompt, parts: &[Part]) -> Usage {
    let mut usage = Usage {
        input: p.input_tokens.max(1),
        ..Usage::default()
    };
    let cached = p.last_user.to_lowercase().contains(triggers::CACHED);
    match (p.marked_tokens, cached) {
        (0, false) => {}
        (0, true) => usage.cache_read = usage.input / 2,
        (marked, true) => usage.cache_read = marked,
        (marked, false) => usage.cache_write = marked,
    }
    usage.input -= usage.cache_read + usage.cache_write;
    for part in parts {
        match part {
            Part::Thinking { text, .. } => usage.reasoning += tokens::count(text),
            Part::Redacted { .. } => usage.reasoning += 10,
            Part::Text { text, .. } | Part::Refusal { text } => usage.output += tokens::count(text),
            Part::Call {
                name, arguments, ..
            } => {
                usage.output += tokens::count(name) + tokens::count(arguments);
            }
        }
    }
    usage
}

fn number_after(text: &str, phrase: &str) -> Option<usize> {
    let rest = &text[text.find(phrase)? + phrase.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The parsed arguments of a call, for dialects that carry objects.
pub(crate) fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| json!({}))
}
