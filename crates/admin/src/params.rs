//! Parameters of a query, checked: unknown, repeated or malformed ones are
//! refused with what to write instead, because a filter that is silently
//! ignored shows the wrong records.
//!
//! Deliberately not here: finding records.

use store::Filter;

use crate::auth::{self, Actor};
use crate::reply::Reply;
use crate::routes::Route;

/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 512;
/// Records of a page unless the caller says otherwise.
const LIMIT: u32 = 50;
/// Most records of a page.
const LIMIT_MAX: u32 = store::index::PAGE_ROWS_MAX;

/// Parameters of a query by name.
#[derive(Debug)]
pub(crate) struct Params(Vec<(&'static str, String)>);

impl Params {
    pub(crate) fn parse(query: Option<&str>, route: &Route) -> Result<Self, Reply> {
        let mut params: Vec<(&'static str, String)> = Vec::new();
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some((known, _)) = route.params.iter().find(|(known, _)| *known == name) else {
                return Err(unknown(name, route));
            };
            if params.iter().any(|(earlier, _)| earlier == known) {
                return Err(bad(known, "it comes twice; send it once"));
            }
            let value = decode(value).ok_or_else(|| {
                bad(
                    known,
                    "its value is no percent-encoded UTF-8 of at most 512 bytes",
                )
            })?;
            // An empty value is a form field that nobody filled in.
            if !value.is_empty() {
                params.push((known, value));
            }
        }
        Ok(Self(params))
    }

    /// The value of a parameter, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Reply> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| bad(name, "it must be a whole number"))
        };
        self.get(name).map(parse).transpose()
    }
}

/// Which records are asked for.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) filter: Filter,
    pub(crate) follow: bool,
}

impl Question {
    pub(crate) fn of(params: &Params, now_us: u64) -> Result<Self, Reply> {
        let (status_min, status_max) = match params.get("status") {
            Some(text) => statuses(text).ok_or_else(|| bad("status", "write 429 or 5xx"))?,
            None => (None, None),
        };
        let Page { limit, before } = Page::of(params)?;
        let follow = match params.get("follow") {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err(bad("follow", "write 1 or 0")),
        };
        if follow && params.get("before").or(params.get("until")).is_some() {
            return Err(bad(
                "follow",
                "records to come are not before anything; leave out `before` and `until`",
            ));
        }
        let fault = params.owned("fault");
        let filter = Filter {
            before,
            after: params.number("after")?,
            limit,
            since_us: time(params, "since", now_us)?,
            until_us: time(params, "until", now_us)?,
            tenant: params.owned("tenant"),
            app: params.owned("app"),
            key_id: params.owned("key"),
            operation: params.owned("operation"),
            dialect: params.owned("dialect"),
            provider: params.owned("provider"),
            model: params.owned("model"),
            status_min,
            status_max,
            outcome: params.owned("outcome"),
            faulty: fault.as_deref() == Some("any"),
            fault: fault.filter(|fault| fault != "any"),
            origin: params.owned("origin"),
        };
        Ok(Self { filter, follow })
    }

    /// Shows the asker no other tenant than its own.
    pub(crate) fn hold_to(&mut self, actor: &Actor) -> Result<(), Reply> {
        let Some(own) = &actor.tenant else {
            return Ok(());
        };
        match &self.filter.tenant {
            Some(tenant) if !actor.sees(tenant) => Err(auth::too_narrow(actor)),
            Some(_) | None => {
                self.filter.tenant = Some(own.to_string());
                Ok(())
            }
        }
    }
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) limit: u32,
    pub(crate) before: Option<u64>,
}

impl Page {
    pub(crate) fn of(params: &Params) -> Result<Self, Reply> {
        let limit = match params.number("limit")? {
            None => LIMIT,
            Some(limit) => u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| bad("limit", "it must be from 1 to 1000"))?,
        };
        let before = params.number("before")?;
        Ok(Self { limit, before })
    }
}

/// Which entries of the audit journal are asked for.
#[derive(Debug)]
pub(crate) struct AuditQuestion {
    pub(crate) page: Page,
    pub(crate) actor: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) since_us: Option<u64>,
    pub(crate) until_us: Option<u64>,
}

impl AuditQuestion {
    pub(crate) fn of(params: &Params, now_us: u64) -> Result<Self, Reply> {
        Ok(Self {
            page: Page::of(params)?,
            actor: params.owned("actor"),
            role: params.owned("role"),
            action: params.owned("action"),
            object: params.owned("object"),
            tenant: params.owned("tenant"),
            since_us: time(params, "since", now_us)?,
            until_us: time(params, "until", now_us)?,
        })
    }
}

fn statuses(text: &str) -> Option<(Option<u16>, Option<u16>)> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some((Some(class * 100), Some(class * 100 + 99)));
    }
    let status = text
        .parse()
        .ok()
        .filter(|status| (0..=599).contains(status))?;
    Some((Some(status), Some(status)))
}

pub(crate) fn time(params: &Params, name: &str, now_us: u64) -> Result<Option<u64>, Reply> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let age = age_us(text).map(|age| now_us.saturating_sub(age));
    let time = age.or_else(|| utc_us(text));
    let wrong = || {
        bad(
            name,
            "write an age (90s, 15m, 2h, 7d) or a UTC time (2025-11-21T10:00:00Z)",
        )
    };
    time.map(Some).ok_or_else(wrong)
}

/// `90s`, `15m`, `2h`, `7d`, `250ms` in microseconds.
pub(crate) fn age_us(text: &str) -> Option<u64> {
    let units = [
        ("ms", 1_000),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ];
    units.into_iter().find_map(|(unit, us): (&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(us)
    })
}

/// RFC 3339 in UTC, `2025-11-21` or `2025-11-21T10:00:00[.5]Z`, in
/// microseconds since the Unix epoch.
pub(crate) fn utc_us(text: &str) -> Option<u64> {
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let is_digits =
        (1..=6).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    if !is_sound || !is_digits {
        return None;
    }
    // Years counted from March, so that the leap day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    let us: u64 = format!("{fraction:0<6}").parse().ok()?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + us)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = part
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Percent-encoded UTF-8; `+` is a space, as forms write it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= VALUE_BYTES_MAX)
}

pub(crate) fn bad(name: &str, advice: &str) -> Reply {
    Reply::fault(
        400,
        "bad_parameter",
        &format!("The parameter `{name}` is not usable: {advice}."),
    )
}

fn unknown(name: &str, route: &Route) -> Reply {
    let shown: String = name.chars().take(50).collect();
    let known: Vec<&str> = route.params.iter().map(|(name, _)| *name).collect();
    let message = if known.is_empty() {
        format!("There is no parameter `{shown}`: this path takes none.")
    } else {
        format!(
            "There is no parameter `{shown}`. There are: {}.",
            known.join(", ")
        )
    };
    Reply::fault(400, "bad_parameter", &message)
}
