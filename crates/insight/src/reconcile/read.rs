//! Exports of usage: a table (CSV, or JSON objects) with columns that are
//! named, or pages of time buckets with results, as usage and cost interfaces
//! give them.
//!
//! Deliberately not here: comparing.

use meter::prices::day;
use serde_json::Value;

/// Most lines of an export.
pub const LINES_MAX: usize = 100_000;

const DAY_S: u64 = 86_400;
/// Decimal places of a nano-dollar.
const PLACES: i64 = 9;

/// One line of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Begin of its day in UTC, microseconds since the Unix epoch.
    pub day_us: u64,
    /// The model, as the provider names it.
    pub model: String,
    /// Input tokens, all classes.
    pub input: Option<i128>,
    /// Output tokens, all classes.
    pub output: Option<i128>,
    /// Nano-dollars.
    pub cost: Option<i128>,
}

/// Which columns of a table say what. A name may be a sum, `a+b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Day.
    pub date: String,
    /// Model.
    pub model: String,
    /// Input tokens.
    pub input: String,
    /// Output tokens.
    pub output: String,
    /// Cost in dollars.
    pub cost: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            date: "date".to_owned(),
            model: "model".to_owned(),
            input: "input_tokens".to_owned(),
            output: "output_tokens".to_owned(),
            cost: "cost".to_owned(),
        }
    }
}

/// Reads an export, whatever its form.
///
/// # Errors
/// Where it cannot be read, and why.
pub fn read(text: &str, columns: &Columns) -> Result<Vec<Line>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with(['{', '[']);
    let lines = if is_json {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        of_json(&value, columns)?
    } else {
        of_csv(text, columns)?
    };
    match lines.len() {
        0 => Err("it holds no line".to_owned()),
        _ => Ok(lines),
    }
}

fn push(lines: &mut Vec<Line>, line: Line) -> Result<(), String> {
    if lines.len() == LINES_MAX {
        return Err(format!(
            "it holds more than {LINES_MAX} lines; split it by month"
        ));
    }
    lines.push(line);
    Ok(())
}

fn of_csv(text: &str, columns: &Columns) -> Result<Vec<Line>, String> {
    let mut rows = Rows { rest: text };
    let header = rows.next().ok_or("it is empty")??;
    let mut lines = Vec::new();
    for (nth, row) in rows.enumerate() {
        let row = row?;
        if row.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let field = |name: &str| {
            let at = header.iter().position(|it| it.trim() == name)?;
            row.get(at).map(|text| text.trim().to_owned())
        };
        // The header is the first line.
        let line = line(columns, field).map_err(|why| format!("row {}: {why}", nth + 2))?;
        push(&mut lines, line)?;
    }
    Ok(lines)
}

fn of_json(value: &Value, columns: &Columns) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let all = match value {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    for (nth, one) in all.iter().enumerate() {
        let at = |why: String| format!("entry {}: {why}", nth + 1);
        if one["results"].is_array() {
            bucket(one, &mut lines).map_err(at)?;
        } else if let Some(buckets) = one["data"].as_array() {
            if one["has_more"] == true && nth + 1 == all.len() {
                return Err(at(
                    "this page says that there are more; fetch them, and write all pages as one \
                     JSON array"
                        .to_owned(),
                ));
            }
            for one in buckets {
                bucket(one, &mut lines).map_err(at)?;
            }
        } else {
            let field = |name: &str| one.get(name).and_then(plain);
            push(&mut lines, line(columns, field).map_err(at)?)?;
        }
    }
    Ok(lines)
}

/// The text of a JSON value that is one.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One bucket of time, with a result for each model.
fn bucket(bucket: &Value, lines: &mut Vec<Line>) -> Result<(), String> {
    let start = plain(&bucket["start_time"]).ok_or("a bucket has no `start_time`")?;
    let day_us = day_of(&start)?;
    let results = bucket["results"].as_array();
    let results = results.ok_or("a bucket has no `results`")?;
    for result in results {
        let amount = &result["amount"];
        let currency = amount["currency"].as_str().unwrap_or("usd");
        if !currency.eq_ignore_ascii_case("usd") {
            return Err("an amount is not in US dollars".to_owned());
        }
        let number = |value: &Value| plain(value).map(|text| count(&text)).transpose();
        let cost = plain(&amount["value"]).map(|text| nanos(&text));
        // Costs come by item, such as `name of the model, input`.
        let item = result["line_item"].as_str();
        let item = item.map(|item| item.split(", ").next().unwrap_or(item));
        let model = result["model"].as_str().or(item).unwrap_or_default();
        let line = Line {
            day_us,
            model: model.to_owned(),
            input: number(&result["input_tokens"])?,
            output: number(&result["output_tokens"])?,
            cost: cost.transpose()?,
        };
        push(lines, line)?;
    }
    Ok(())
}

fn line(columns: &Columns, field: impl Fn(&str) -> Option<String>) -> Result<Line, String> {
    let filled = |name: &str| field(name).filter(|text| !text.is_empty());
    let lacks = |name: &str| format!("there is nothing in a column `{name}`");
    let date = filled(&columns.date).ok_or_else(|| lacks(&columns.date))?;
    let model = filled(&columns.model).ok_or_else(|| lacks(&columns.model))?;
    let sum = |names: &str, read: fn(&str) -> Result<i128, String>| {
        let mut sum: Option<i128> = None;
        for name in names.split('+') {
            if let Some(text) = filled(name.trim()) {
                let figure = read(&text).map_err(|why| format!("`{}`: {why}", name.trim()))?;
                sum = Some(sum.unwrap_or_default().saturating_add(figure));
            }
        }
        Ok::<_, String>(sum)
    };
    let line = Line {
        day_us: day_of(&date)?,
        model,
        input: sum(&columns.input, count)?,
        output: sum(&columns.output, count)?,
        cost: sum(&columns.cost, nanos)?,
    };
    if (line.input, line.output, line.cost) == (None, None, None) {
        return Err(lacks(&format!(
            "{}`, `{}` or `{}",
            columns.input, columns.output, columns.cost
        )));
    }
    Ok(line)
}

/// `2026-11-21`, with or without a time behind it, or Unix seconds.
fn day_of(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is no day: write 2026-11-21", shown(text));
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = text.get(..10).ok_or_else(wrong)?;
            let rest = text.get(10..).unwrap_or_default();
            if !rest.is_empty() && !rest.starts_with(['T', ' ']) {
                return Err(wrong());
            }
            day(date).ok_or_else(wrong)?
        }
    };
    let day_s = seconds / DAY_S * DAY_S;
    day_s.checked_mul(1_000_000).ok_or_else(wrong)
}

fn count(text: &str) -> Result<i128, String> {
    let text = text
        .strip_suffix(".0")
        .unwrap_or(text)
        .replace(['_', ','], "");
    let number: Option<u64> = text.parse().ok();
    let number = number.map(i128::from);
    number.ok_or_else(|| format!("`{}` is no number of tokens", shown(&text)))
}

/// A decimal number of dollars, with an exponent or without, in nano-dollars.
/// What is finer is rounded, half away from zero.
fn nanos(text: &str) -> Result<i128, String> {
    let wrong = || format!("`{}` is no amount of dollars", shown(text));
    let bare = text.trim_start_matches(['$', ' ']);
    let (digits, is_negative) = match bare.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (bare, false),
    };
    let lower = digits.to_ascii_lowercase();
    let (number, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| wrong())?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !whole.is_empty() && (whole.len() + part.len()) <= 30;
    let all = format!("{whole}{part}");
    if !is_number || !all.bytes().all(|byte| byte.is_ascii_digit()) || exponent.abs() > 60 {
        return Err(wrong());
    }
    let value: i128 = all.parse().map_err(|_| wrong())?;
    let places = i64::try_from(part.len()).map_err(|_| wrong())?;
    let shift = PLACES + exponent - places;
    let ten = u32::try_from(shift.unsigned_abs()).map_err(|_| wrong())?;
    let unit = 10_i128.checked_pow(ten);
    let amount = match (shift >= 0, unit) {
        (true, Some(unit)) => value.checked_mul(unit).ok_or_else(wrong)?,
        (true, None) if value != 0 => return Err(wrong()),
        (false, Some(unit)) => (value + unit / 2) / unit,
        (_, None) => 0,
    };
    Ok(if is_negative { -amount } else { amount })
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The rows of CSV (RFC 4180).
struct Rows<'t> {
    rest: &'t str,
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<String>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut row, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut letters = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, c)) = letters.next() {
            match (c, quoted) {
                ('"', true) if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                    field.push('"');
                    letters.next();
                }
                ('"', _) => quoted = !quoted,
                (',', false) => row.push(std::mem::take(&mut field)),
                ('\n', false) => {
                    end = at + 1;
                    break;
                }
                ('\r', false) => {}
                (c, _) => field.push(c),
            }
        }
        self.rest = &self.rest[end..];
        row.push(field);
        Some(match quoted {
            true => Err("a quoted field has no end".to_owned()),
            false => Ok(row),
        })
    }
}

#[cfg(test)]
mod tests;
