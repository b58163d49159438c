//! What is wrong with a document, said for the person who wrote it: where,
//! what, and what to write instead. No diagnostic ever shows a secret.

use std::fmt::Write as _;

/// Longest part of a source line that is shown, in characters.
const EXCERPT_CHARS_MAX: usize = 120;
/// Characters shown before the place where a long line is cut out.
const EXCERPT_LEAD: usize = 50;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// It can, but the writer should know.
    Warning,
}

impl Severity {
    /// The word in texts and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in the source; lines and columns count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// Characters on that line.
    pub(crate) length: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// Line from 1; `None` if the document did not come from a text.
    pub line: Option<usize>,
    /// Column from 1, in characters.
    pub column: Option<usize>,
    /// The field, such as `keys[0].secret`.
    pub path: String,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What to write or do instead.
    pub instead: String,
    /// The source line, secrets masked, with a marker line below.
    excerpt: Option<Box<(String, String)>>,
}

impl Diagnostic {
    pub(crate) fn error(
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            line: None,
            column: None,
            path: path.into(),
            what: what.into(),
            instead: instead.into(),
            excerpt: None,
        }
    }

    pub(crate) fn warning(
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, what, instead)
        }
    }

    /// A finding about the file as a whole, such as one that cannot be read.
    pub fn of_file(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::error("", what, instead)
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.line = Some(place.line);
        self.column = Some(place.column);
        self
    }

    pub(crate) fn show(mut self, lines: &Lines, place: Place) -> Self {
        self.excerpt = lines.excerpt(place).map(Box::new);
        self
    }
}

/// The lines of a source, and what on them must not be shown.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    lines: Vec<String>,
    secrets: Vec<Place>,
    /// The source could not be parsed, so nobody knows where its secrets are:
    /// only keys are shown.
    keys_only: bool,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({})", self.lines.len())
    }
}

impl Lines {
    pub(crate) fn new(text: &str, secrets: Vec<Place>) -> Self {
        Self {
            lines: text.lines().map(str::to_owned).collect(),
            secrets,
            keys_only: false,
        }
    }

    pub(crate) fn keys_only(text: &str) -> Self {
        Self {
            keys_only: true,
            ..Self::new(text, Vec::new())
        }
    }

    /// The masked line and the marker below it.
    fn excerpt(&self, place: Place) -> Option<(String, String)> {
        let line: Vec<char> = self
            .lines
            .get(place.line.checked_sub(1)?)?
            .chars()
            .collect();
        let (masked, from, to) = if self.keys_only {
            let colon = line.iter().position(|c| *c == ':')?;
            let mut shown: String = line[..=colon].iter().collect();
            shown.push_str(" ***");
            let at = (place.column - 1).min(colon + 2);
            (shown.chars().collect(), at, at + 1)
        } else {
            self.mask(&line, place)
        };
        let start = if masked.len() > EXCERPT_CHARS_MAX {
            from.saturating_sub(EXCERPT_LEAD)
        } else {
            0
        };
        let end = masked.len().min(start + EXCERPT_CHARS_MAX);
        let text: String = masked[start..end].iter().collect();
        let width = to.min(end).saturating_sub(from).max(1);
        let marker = format!("{}{}", " ".repeat(from - start), "^".repeat(width));
        Some((text.replace('\t', " ").trim_end().to_owned(), marker))
    }

    /// The line with secrets replaced, and where the place is in it.
    fn mask(&self, line: &[char], place: Place) -> (Vec<char>, usize, usize) {
        let mut secrets: Vec<(usize, usize)> = self
            .secrets
            .iter()
            .filter(|secret| secret.line == place.line)
            .map(|secret| {
                let from = (secret.column - 1).min(line.len());
                (from, (from + secret.length).min(line.len()))
            })
            .collect();
        secrets.sort_unstable();
        let from = (place.column - 1).min(line.len());
        let to = (from + place.length).min(line.len());
        let (mut shown, mut at) = (Vec::new(), 0);
        let (mut from_shown, mut to_shown) = (None, None);
        let mut mark = |shown: &Vec<char>, at: usize| {
            if at >= from {
                from_shown.get_or_insert(shown.len());
            }
            if at >= to {
                to_shown.get_or_insert(shown.len());
            }
        };
        while at < line.len() {
            mark(&shown, at);
            match secrets.iter().find(|(from, to)| *from <= at && at < *to) {
                Some((_, end)) => {
                    shown.extend("***".chars());
                    at = *end;
                }
                None => {
                    shown.push(line[at]);
                    at += 1;
                }
            }
        }
        let length = shown.len();
        (
            shown,
            from_shown.unwrap_or(length),
            to_shown.unwrap_or(length),
        )
    }
}

/// Renders findings as text for people. `file` is the name to show.
pub fn render(diagnostics: &[Diagnostic], file: &str, colour: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        render_one(&mut out, diagnostic, file, colour).expect("a String takes all");
    }
    out
}

fn render_one(
    out: &mut String,
    diagnostic: &Diagnostic,
    file: &str,
    colour: bool,
) -> std::fmt::Result {
    let (strong, faint, plain) = match (colour, diagnostic.severity) {
        (false, _) => ("", "", ""),
        (true, Severity::Error) => ("\x1b[1;31m", "\x1b[2m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[1;33m", "\x1b[2m", "\x1b[0m"),
    };
    let word = diagnostic.severity.name();
    writeln!(out, "{strong}{word}{plain}: {}", diagnostic.what)?;
    let path = match diagnostic.path.as_str() {
        "" => String::new(),
        path => format!(" ({path})"),
    };
    match (diagnostic.line, diagnostic.column) {
        (Some(line), Some(column)) => {
            writeln!(out, "  {faint}-->{plain} {file}:{line}:{column}{path}")?;
            if let Some((text, marker)) = diagnostic.excerpt.as_deref() {
                let gutter = line.to_string();
                let blank = " ".repeat(gutter.len());
                writeln!(out, " {faint}{blank} |{plain}")?;
                writeln!(out, " {faint}{gutter} |{plain} {text}")?;
                writeln!(out, " {faint}{blank} |{plain} {strong}{marker}{plain}")?;
            }
        }
        _ => writeln!(out, "  {faint}-->{plain} {file}{path}")?,
    }
    if !diagnostic.instead.is_empty() {
        writeln!(out, "  {faint}={plain} {}", diagnostic.instead)?;
    }
    writeln!(out)
}

/// The findings as JSON: `[{"severity", "line", "column", "path", "what",
/// "instead"}]`.
pub fn to_json(diagnostics: &[Diagnostic]) -> serde_json::Value {
    let one = |diagnostic: &Diagnostic| {
        serde_json::json!({
            "severity": diagnostic.severity.name(),
            "line": diagnostic.line,
            "column": diagnostic.column,
            "path": diagnostic.path,
            "what": diagnostic.what,
            "instead": diagnostic.instead,
        })
    };
    diagnostics.iter().map(one).collect()
}

/// A sentence that names what was probably meant, or lists what there is.
pub(crate) fn suggest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
    noun: &str,
) -> String {
    /// Most names that a sentence lists.
    const LISTED_MAX: usize = 32;
    /// Least likeness (Jaro-Winkler) of a name worth suggesting, which favours
    /// a common beginning.
    const LIKENESS: f64 = 0.8;
    /// Least share of letters that need no edit, which does not.
    const KEPT: f64 = 0.5;
    let known: Vec<&str> = known.into_iter().collect();
    let wrong = wrong.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        let kept = strsim::normalized_damerau_levenshtein(&wrong, &name);
        let likeness = strsim::jaro_winkler(&wrong, &name);
        (likeness >= LIKENESS && kept >= KEPT).then_some(likeness)
    };
    let near = known
        .iter()
        .filter_map(|name| Some((likeness(name)?, *name)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, name)) = near {
        return format!("write `{name}`");
    }
    if known.is_empty() {
        return format!("there is no {noun} here to name");
    }
    let listed: Vec<String> = known
        .iter()
        .take(LISTED_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if known.len() > LISTED_MAX { ", .." } else { "" };
    format!("the {noun}s are {}{more}", listed.join(", "))
}
