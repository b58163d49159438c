//! A table of prices, as one text: the built-in catalog, or a refreshed file.
//!
//! ```text
//! tollgate-prices 1
//! source NAME VERSION LICENCE ADDRESS
//! provider KIND [prefixes=us.,eu.] [also=KIND,KIND]
//! MODEL[,MODEL..] [region=eu] [from=2026-10-01] PRICE
//! ```
//!
//! A model may be a pattern with `*`. PRICE has the form of
//! [`Sheet`]. Blank lines and lines that begin with `#` mean nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use contract::glob;

use super::book::Matched;
use super::date::day;
use super::sheet::{Sheet, is_in};

/// The first line of such a text.
pub const FORMAT: &str = "tollgate-prices 1";
/// Most bytes of such a text.
const BYTES_MAX: usize = 4 << 20;
/// Most faults that are told.
const FAULTS_MAX: usize = 100;
/// Longest name of a model or kind.
const NAME_BYTES_MAX: usize = 256;

/// A table of prices.
pub struct Catalog {
    sources: Vec<Source>,
    digest: [u8; 32],
    shelves: HashMap<Box<str>, Kept>,
}

/// The prices of a kind of provider, read or yet to be read. Nobody has
/// providers of all kinds, and thousands of prices take megabytes.
#[derive(Default)]
struct Kept {
    shelf: OnceLock<Shelf>,
    /// Its lines in the built-in catalog; none where it is read.
    unread: Vec<&'static str>,
}

/// In short: it has thousands of lines.
impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog({} kinds)", self.shelves.len())
    }
}

/// Where prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The licence it was published under.
    pub licence: String,
    /// Where it is.
    pub address: String,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct CatalogFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// One price of a table.
#[derive(Clone, Debug)]
pub struct Listed<'c> {
    /// The kind of provider.
    pub kind: &'c str,
    /// The model, or a pattern.
    pub model: &'c str,
    /// The region it is for; `None`: all others.
    pub region: Option<&'c str>,
    /// Since when, in seconds since 1970; 0: always.
    pub from_s: u64,
    /// The price.
    pub sheet: &'c Sheet,
}

/// The prices of a kind of provider.
#[derive(Debug, Default)]
struct Shelf {
    names: HashMap<Box<str>, Vec<Row>>,
    /// Longest first, so that the narrowest is found.
    patterns: Vec<(Box<str>, Vec<Row>)>,
    /// What a name may begin with that says where it is served.
    prefixes: Vec<Box<str>>,
    /// Kinds whose prices hold where there is none here.
    also: Vec<Box<str>>,
}

#[derive(Clone, Debug)]
struct Row {
    region: Option<Arc<str>>,
    from_s: u64,
    sheet: Arc<Sheet>,
}

/// The text of the built-in catalog.
const BUILT_IN_TEXT: &str = include_str!("../../catalog/prices.txt");

/// The built-in catalog; each kind of provider is read when it is first asked
/// for.
pub(super) static BUILT_IN: LazyLock<Arc<Catalog>> =
    LazyLock::new(|| Arc::new(Catalog::unread(BUILT_IN_TEXT)));

/// What a text says is known to be right: a test reads all of it.
const TESTED: &str = "a test reads the catalog";

impl Catalog {
    /// The catalog that the program comes with.
    pub fn built_in() -> Arc<Self> {
        BUILT_IN.clone()
    }

    /// Reads a table.
    ///
    /// # Errors
    /// All lines that are wrong, 100 at most.
    pub fn parse(text: &str) -> Result<Self, Vec<CatalogFault>> {
        let fault = |line, what: String| CatalogFault { line, what };
        if text.len() > BYTES_MAX {
            return Err(vec![fault(
                1,
                format!("the file is longer than {BYTES_MAX} bytes"),
            )]);
        }
        let lines = text.lines().enumerate();
        let lines = lines.map(|(nth, line)| (nth + 1, line));
        let mut lines = lines.filter_map(|(nth, line)| Some((nth, said(line)?)));
        match lines.next() {
            Some((_, FORMAT)) => {}
            found => {
                let line = found.map_or(1, |(line, _)| line);
                return Err(vec![fault(
                    line,
                    format!("a file of prices begins with `{FORMAT}`"),
                )]);
            }
        }
        let mut reader = Reader::default();
        let mut faults = Vec::new();
        for (nth, line) in lines {
            if let Err(what) = reader.line(line) {
                faults.push(fault(nth, what));
                if faults.len() == FAULTS_MAX {
                    break;
                }
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let (sources, shelves) = reader.done();
        let kept = |shelf| Kept {
            shelf: OnceLock::from(shelf),
            unread: Vec::new(),
        };
        Ok(Self {
            sources,
            digest: *blake3::hash(text.as_bytes()).as_bytes(),
            shelves: shelves.map(|(kind, shelf)| (kind, kept(shelf))).collect(),
        })
    }

    /// A table of which only the heads are read.
    fn unread(text: &'static str) -> Self {
        let mut reader = Reader::default();
        let mut shelves = HashMap::<Box<str>, Kept>::new();
        // What stands in front of the first provider, and each with its lines.
        let mut parts = text.split("\nprovider ");
        let head = parts.next().unwrap_or_default();
        for line in head.lines().filter_map(said).skip(1) {
            reader.line(line).expect(TESTED);
        }
        for part in parts {
            let kind = part.split_whitespace().next().expect(TESTED);
            let kept = shelves.entry(kind.into()).or_default();
            kept.unread.push(part);
        }
        Self {
            sources: reader.done().0,
            digest: *blake3::hash(text.as_bytes()).as_bytes(),
            shelves,
        }
    }

    /// The prices of a kind.
    fn shelf(&self, kind: &str) -> Option<&Shelf> {
        let kept = self.shelves.get(kind)?;
        Some(kept.shelf.get_or_init(|| {
            let mut reader = Reader::default();
            for part in &kept.unread {
                let (provider, rows) = part.split_once('\n').unwrap_or((part, ""));
                reader.provider(provider).expect(TESTED);
                for line in rows.lines().filter_map(said) {
                    reader.line(line).expect(TESTED);
                }
            }
            let mut shelves = reader.done().1;
            shelves.next().map(|(_, shelf)| shelf).unwrap_or_default()
        }))
    }

    /// Where its prices come from.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// BLAKE3 of its text.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The kinds of providers that have prices, in order.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.shelves.keys().map(|kind| &**kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// All prices, by kind, model, region and date.
    pub fn listed(&self) -> Vec<Listed<'_>> {
        let mut all: Vec<Listed<'_>> = Vec::new();
        for kind in self.shelves.keys() {
            let Some(shelf) = self.shelf(kind) else {
                continue;
            };
            let patterns = shelf.patterns.iter().map(|(name, rows)| (name, rows));
            for (model, rows) in shelf.names.iter().chain(patterns) {
                all.extend(rows.iter().map(|row| Listed {
                    kind,
                    model,
                    region: row.region.as_deref(),
                    from_s: row.from_s,
                    sheet: &row.sheet,
                }));
            }
        }
        let key = |it: &Listed<'_>| (it.kind.to_owned(), it.model.to_owned());
        all.sort_by_cached_key(|it| (key(it), it.region.map(str::to_owned), it.from_s));
        all
    }

    /// The price of a model, if there is one at that time.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Option<(Arc<Sheet>, Matched)> {
        let shelf = self.shelf(wanted.kind)?;
        if let Some(found) = shelf.find(wanted) {
            return Some(found);
        }
        let others = shelf.also.iter().filter_map(|kind| self.shelf(kind));
        let mut found = others.filter_map(|shelf| shelf.find(wanted));
        found.next().map(|(sheet, _)| (sheet, Matched::Variant))
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kind: &'a str,
    pub(super) model: &'a str,
    pub(super) region: Option<&'a str>,
    pub(super) at_s: u64,
}

impl Shelf {
    fn find(&self, wanted: &Wanted<'_>) -> Option<(Arc<Sheet>, Matched)> {
        let exact = |name: &str| {
            let rows = self.names.get(name)?;
            pick(rows, wanted)
        };
        if let Some(sheet) = exact(wanted.model) {
            return Some((sheet, Matched::Exact));
        }
        for name in variants(wanted.model) {
            let sheet = exact(name).or_else(|| self.elsewhere(name, &exact));
            if let Some(sheet) = sheet {
                return Some((sheet, Matched::Variant));
            }
        }
        let mut patterns = self.patterns.iter();
        let sheet = patterns.find_map(|(pattern, rows)| {
            let rows = glob::matches(pattern, wanted.model).then_some(rows)?;
            pick(rows, wanted)
        });
        sheet.map(|sheet| (sheet, Matched::Pattern))
    }

    /// The same model where its name says another place, then where it says
    /// none.
    fn elsewhere(
        &self,
        name: &str,
        exact: &dyn Fn(&str) -> Option<Arc<Sheet>>,
    ) -> Option<Arc<Sheet>> {
        let mut prefixes = self.prefixes.iter();
        let bare = prefixes.find_map(|prefix| name.strip_prefix(&**prefix))?;
        let mut others = self.prefixes.iter();
        others
            .find_map(|prefix| exact(&format!("{prefix}{bare}")))
            .or_else(|| exact(bare))
    }
}

/// The price of the narrowest region, and of these the last that holds.
fn pick(rows: &[Row], wanted: &Wanted<'_>) -> Option<Arc<Sheet>> {
    let here = rows.iter().filter(|row| {
        let region = match (&row.region, wanted.region) {
            (None, _) => true,
            (Some(known), Some(region)) => is_in(region, known),
            (Some(_), None) => false,
        };
        region && row.from_s <= wanted.at_s
    });
    let last = here.max_by_key(|row| (row.region.as_ref().map(|it| it.len()), row.from_s));
    last.map(|row| row.sheet.clone())
}

/// Names that a model may be known by: itself, the last part of a path of
/// resources, and either without its date or version.
fn variants(model: &str) -> impl Iterator<Item = &str> {
    let bare = match model.starts_with("arn:") {
        true => model.rsplit('/').next().unwrap_or(model),
        false => model,
    };
    let (undated, _) = bare.split_once('@').unwrap_or((bare, ""));
    [bare, undated, without_date(undated)].into_iter()
}

/// `a-2025-08-07`, `a-20250807` and `a-latest` are `a`.
fn without_date(name: &str) -> &str {
    if let Some(name) = name.strip_suffix("-latest") {
        return name;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.rsplitn(4, '-');
    let last = [parts.next(), parts.next(), parts.next(), parts.next()];
    match last {
        [Some(day), Some(month), Some(year), Some(rest)]
            if digits(day)
                && digits(month)
                && digits(year)
                && (day.len(), month.len(), year.len()) == (2, 2, 4) =>
        {
            rest
        }
        [Some(day), Some(_), ..] if digits(day) && day.len() == 8 && day.starts_with("20") => {
            &name[..name.len() - day.len() - 1]
        }
        _ => name,
    }
}

/// A line, if it says something.
fn said(line: &str) -> Option<&str> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then_some(line)
}

#[derive(Default)]
struct Reader {
    sources: Vec<Source>,
    shelves: HashMap<Box<str>, Shelf>,
    kind: Option<Box<str>>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "source" => self.source(rest),
            "provider" => self.provider(rest),
            names => self.row(names, rest),
        }
    }

    fn source(&mut self, rest: &str) -> Result<(), String> {
        let parts: Vec<&str> = rest.split_whitespace().collect();
        let [name, version, licence, address] = parts[..] else {
            return Err("write `source NAME VERSION LICENCE ADDRESS`".to_owned());
        };
        self.sources.push(Source {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.to_owned(),
            address: address.to_owned(),
        });
        Ok(())
    }

    fn provider(&mut self, rest: &str) -> Result<(), String> {
        let mut words = rest.split_whitespace();
        let kind = words.next().filter(|kind| kind.len() <= NAME_BYTES_MAX);
        let kind = kind.ok_or("write `provider KIND`")?;
        let shelf = self.shelves.entry(kind.into()).or_default();
        for word in words {
            let (list, into) = match word.split_once('=') {
                Some(("prefixes", list)) => (list, &mut shelf.prefixes),
                Some(("also", list)) => (list, &mut shelf.also),
                _ => return Err(format!("`{word}` is neither `prefixes=..` nor `also=..`")),
            };
            into.extend(list.split(',').map(Box::from));
        }
        self.kind = Some(kind.into());
        Ok(())
    }

    fn row(&mut self, names: &str, mut rest: &str) -> Result<(), String> {
        let kind = self.kind.as_ref();
        let kind = kind.ok_or("this price stands in front of the first `provider KIND`")?;
        let (mut region, mut from_s) = (None, 0);
        loop {
            rest = rest.trim_start();
            let (word, more) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match word.split_once('=') {
                Some(("region", name)) => region = Some(Arc::from(name)),
                Some(("from", text)) => {
                    let wrong = || format!("`{text}` is no day; write `from=2026-10-01`");
                    from_s = day(text).ok_or_else(wrong)?;
                }
                _ => break,
            }
            rest = more;
        }
        let sheet = Arc::new(Sheet::parse(rest).map_err(|fault| fault.to_string())?);
        let shelf = self.shelves.get_mut(kind).expect("made by its line");
        for name in names.split(',') {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(format!("`{names}` holds no name of a model"));
            }
            let rows = shelf.rows(name);
            if rows
                .iter()
                .any(|row| row.region == region && row.from_s == from_s)
            {
                return Err(format!(
                    "there is a price of `{name}` already; keep one of the two"
                ));
            }
            rows.push(Row {
                region: region.clone(),
                from_s,
                sheet: sheet.clone(),
            });
        }
        Ok(())
    }

    fn done(mut self) -> (Vec<Source>, impl Iterator<Item = (Box<str>, Shelf)>) {
        for shelf in self.shelves.values_mut() {
            let patterns = &mut shelf.patterns;
            patterns.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        }
        (self.sources, self.shelves.into_iter())
    }
}

impl Shelf {
    fn rows(&mut self, name: &str) -> &mut Vec<Row> {
        if glob::is_name(name) {
            return self.names.entry(name.into()).or_default();
        }
        let known = self
            .patterns
            .iter()
            .position(|(pattern, _)| **pattern == *name);
        let at = known.unwrap_or_else(|| {
            self.patterns.push((name.into(), Vec::new()));
            self.patterns.len() - 1
        });
        &mut self.patterns[at].1
    }
}
