//! A table of exact values, and how it is written: JSON for programs, CSV for
//! spreadsheets.
//!
//! Deliberately not here: which tables there are.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Nano-dollars in a dollar.
const NANOS: u128 = 1_000_000_000;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// None is known.
    Nothing,
    /// A text; hostile, if it came with a call.
    Text(String),
    /// A number.
    Int(i128),
    /// Nano-dollars; written as dollars.
    Money(i128),
    /// A moment, microseconds since the Unix epoch; written in UTC.
    Time(u64),
    /// Thousandths; written with one decimal place, as a percentage.
    PerMille(i128),
}

impl Cell {
    /// A text; [`Cell::Nothing`] if it is empty.
    pub fn text(text: &str) -> Self {
        match text {
            "" => Self::Nothing,
            text => Self::Text(text.to_owned()),
        }
    }

    /// A moment that may not come.
    pub fn time(at_us: Option<u64>) -> Self {
        at_us.map_or(Self::Nothing, Self::Time)
    }

    /// The value as text, without any protection.
    fn plain(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Money(nanos) => dollars(*nanos),
            Self::Time(at_us) => moment(*at_us),
            Self::PerMille(share) => {
                let sign = if *share < 0 { "-" } else { "" };
                let share = share.unsigned_abs();
                format!("{sign}{}.{}", share / 10, share % 10)
            }
        }
    }

    /// As JSON: numbers of things as numbers, if they fit exactly; amounts and
    /// shares as texts, which lose nothing.
    fn json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Int(number) => match i64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => number.to_string().into(),
            },
            Self::Text(_) | Self::Money(_) | Self::Time(_) | Self::PerMille(_) => {
                self.plain().into()
            }
        }
    }

    /// As a field of CSV.
    fn csv(&self) -> String {
        let plain = match self {
            Self::Text(text) => inert(text),
            Self::Nothing | Self::Int(_) | Self::Money(_) | Self::Time(_) | Self::PerMille(_) => {
                return self.plain();
            }
        };
        if plain.contains([',', '"', '\n', '\r']) {
            return format!("\"{}\"", plain.replace('"', "\"\""));
        }
        plain
    }
}

/// A moment in UTC, with a fraction where it has one.
pub fn moment(at_us: u64) -> String {
    let text = evidence::rfc3339(at_us);
    match text.strip_suffix(".000000Z") {
        Some(whole) => format!("{whole}Z"),
        None => text,
    }
}

/// A text that neither a spreadsheet takes for a formula nor a terminal for a
/// command.
fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    for c in text.chars() {
        if evidence::dangerous(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Dollars, exact, as [`meter::Money`] writes them.
pub fn dollars(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let all = nanos.unsigned_abs();
    let part = format!("{:09}", all % NANOS);
    let kept = part.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", all / NANOS, &part[..kept])
}

/// Rows under names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<&'static str>,
    /// As many cells each.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// A row as a JSON object.
    pub fn object(&self, row: &[Cell]) -> Value {
        let pairs = self.columns.iter().zip(row);
        let pairs = pairs.map(|(name, cell)| ((*name).to_owned(), cell.json()));
        Value::Object(pairs.collect::<Map<_, _>>())
    }

    /// All rows as JSON objects.
    pub fn objects(&self) -> Value {
        self.rows.iter().map(|row| self.object(row)).collect()
    }

    /// CSV (RFC 4180) with a header.
    pub fn csv(&self) -> String {
        let mut out = self.columns.join(",");
        out.push_str("\r\n");
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Cell::csv).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }
}

#[cfg(test)]
mod tests;
