//! Reading what a call tells about itself: `tollgate-*` headers and the
//! `tollgate` object of its body, which are equally strong, and the W3C
//! `baggage`, which counts only where both are silent.
//!
//! Pure, and free for calls that tell nothing. Deliberately not here: how a
//! body is parsed (its members are handed in), and what follows from what was
//! told.

mod baggage;
mod merge;
mod names;

use std::borrow::Cow;
use std::sync::Arc;

use contract::{Fault, FaultKind, Origin};
use http::HeaderMap;

use crate::consumer::Consumer;
use crate::metadata::{self, Field, Metadata, Settings, Version};
use merge::{Kept, Merged};
use names::{Asserted, Slot};

/// What begins the names of our headers.
const PREFIX: &str = "tollgate";
const BAGGAGE: &str = "baggage";
/// Most characters of a name that a message shows.
const NAME_CHARS_SHOWN: usize = 64;

/// A call that may tell something.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Members of the object `tollgate` of its body.
    pub body: &'a [Member<'a>],
    /// Who calls.
    pub consumer: &'a Consumer,
    /// What the operator says about metadata.
    pub settings: &'a Settings,
}

/// A member of the object `tollgate` of a body.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of a member. `null` is not handed in: it tells nothing.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number as it was written.
    Number(&'a str),
    /// An object of strings.
    Pairs(Vec<(Cow<'a, str>, Cow<'a, str>)>),
    /// Anything else, such as `a boolean`.
    Other(&'static str),
}

/// What a call told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its metadata.
    pub metadata: Metadata,
    /// The version of the contract that it speaks.
    pub version: &'static Version,
    /// Who it speaks for, where a trusted caller speaks for another.
    pub consumer: Option<Arc<Consumer>>,
}

/// Where something was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'a> {
    Header(&'a str),
    Body(&'a str),
    Baggage(&'a str),
}

impl Place<'_> {
    /// As a message names it.
    fn said(self) -> String {
        match self {
            Self::Header(name) => format!("the header `{}`", shown(name)),
            Self::Body(name) => format!("`{PREFIX}.{}` in the body", shown(name)),
            Self::Baggage(name) => {
                format!("the member `{}` of the header `baggage`", shown(name))
            }
        }
    }

    /// The path of a fault.
    fn field(self) -> String {
        match self {
            Self::Header(name) => shown(name),
            Self::Body(name) => format!("{PREFIX}.{}", shown(name)),
            Self::Baggage(name) => format!("baggage.{}", shown(name)),
        }
    }

    fn is_weak(self) -> bool {
        matches!(self, Self::Baggage(_))
    }

    /// A `BadRequest` about this place: its name begins the sentence.
    fn fault(self, rest: &str) -> Fault {
        let said = self.said();
        let mut letters = said.chars();
        let head: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        Fault::bad_request(format!("{head}{} {rest}", letters.as_str())).at(self.field())
    }
}

/// A name as a message shows it: its head, in one line.
fn shown(name: &str) -> String {
    let letters = name.chars().take(NAME_CHARS_SHOWN);
    letters
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Reads what a call tells.
///
/// # Errors
/// `BadRequest` that names the field and what is allowed; `Forbidden` where
/// the call names a tenant, an app or a user that its credential may not name.
pub fn read(telling: &Telling<'_>) -> Result<Told, Fault> {
    let consumer = telling.consumer;
    if !may_tell(telling) && consumer.user.is_none() {
        return Ok(Told {
            metadata: Metadata::default(),
            version: default_version(telling),
            consumer: None,
        });
    }
    let version = version(telling)?;
    let mut merged = Merged::default();
    each(telling, &mut |place, name, text| {
        let slot = names::slot(place, name, version)?;
        let value = match slot {
            Slot::Field(field) => metadata::normal(field, &text, version, telling.settings),
            Slot::Asserted(_) => names::identity(&text),
        };
        let value = value.map_err(|wrong| place.fault(&format!("{wrong}. Correct it.")))?;
        merged.take(slot, Kept { place, value })
    })?;
    let consumer = merged.speaks_for(consumer)?;
    Ok(Told {
        metadata: merged.metadata(telling.consumer)?,
        version,
        consumer,
    })
}

/// Whether there is anything to read.
fn may_tell(telling: &Telling<'_>) -> bool {
    let ours = |name: &str| name.starts_with(PREFIX) || name == BAGGAGE;
    !telling.body.is_empty() || telling.headers.keys().any(|name| ours(name.as_str()))
}

fn default_version(telling: &Telling<'_>) -> &'static Version {
    let Consumer {
        contract,
        tenant,
        app,
        ..
    } = telling.consumer;
    contract.unwrap_or_else(|| telling.settings.version_for(tenant, app))
}

/// The version comes first: it says how everything else is called.
fn version(telling: &Telling<'_>) -> Result<&'static Version, Fault> {
    let default = default_version(telling);
    let name = Field::Contract.name();
    let mut merged = Merged::default();
    each(telling, &mut |place, told, text| {
        if told != name {
            return Ok(());
        }
        let value = metadata::normal(Field::Contract, &text, default, telling.settings)
            .map_err(|wrong| place.fault(&format!("{wrong}. Correct it.")))?;
        merged.take(Slot::Field(Field::Contract), Kept { place, value })
    })?;
    let told = merged.get(Slot::Field(Field::Contract));
    Ok(told.and_then(Version::dated).unwrap_or(default))
}

/// Who takes what is told: where, the name as in the body object, the text.
type See<'s, 'a> = &'s mut dyn FnMut(Place<'a>, &str, Cow<'a, str>) -> Result<(), Fault>;

/// Hands over everything that is told: where, the name as in the body object,
/// and the text. The stronger places come first.
fn each<'a>(telling: &Telling<'a>, see: See<'_, 'a>) -> Result<(), Fault> {
    for (name, value) in telling.headers {
        let name = name.as_str();
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let place = Place::Header(name);
        let Some(own) = names::of_header(name, rest)? else {
            continue;
        };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| place.fault("is not UTF-8. Send text."))?;
        see(place, &own, Cow::Borrowed(text))?;
    }
    for member in telling.body {
        let place = Place::Body(&member.name);
        see(place, &member.name, text(member, place)?)?;
    }
    for header in telling.headers.get_all(BAGGAGE) {
        baggage::members(header.as_bytes(), &mut |key, value| {
            let Some(rest) = key.strip_prefix(PREFIX) else {
                return Ok(());
            };
            let Some(own) = rest.strip_prefix(['.', '-']) else {
                return Ok(());
            };
            let own = own.replace('-', "_");
            see(Place::Baggage(key), &own, value)
        })?;
    }
    Ok(())
}

/// The text of a member.
fn text<'a>(member: &'a Member<'a>, place: Place<'_>) -> Result<Cow<'a, str>, Fault> {
    let is_tags = member.name == Field::Tags.name();
    match &member.value {
        Value::Text(text) => Ok(Cow::Borrowed(text)),
        Value::Number(digits) => Ok(Cow::Borrowed(digits)),
        Value::Pairs(pairs) if is_tags => {
            if let Some((key, _)) = pairs.iter().find(|(_, value)| value.contains(',')) {
                let rest = format!(
                    "holds a comma in the value of `{}`. Leave it out.",
                    shown(key)
                );
                return Err(place.fault(&rest));
            }
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            Ok(Cow::Owned(pairs.join(",")))
        }
        Value::Pairs(_) => Err(place.fault("is an object, but it is a string or a number.")),
        Value::Other(kind) => Err(place.fault(&format!(
            "is {kind}, but it is a string{}.",
            if is_tags {
                " or an object of strings"
            } else {
                " or a number"
            }
        ))),
    }
}

fn forbidden(place: Place<'_>, rest: &str) -> Fault {
    let fault = place.fault(rest);
    Fault {
        kind: FaultKind::Forbidden,
        ..Fault::new(FaultKind::Forbidden, Origin::Client, fault.public)
    }
    .at(place.field())
}

/// What a call may not say of itself.
fn not_allowed(place: Place<'_>, asserted: Asserted) -> Fault {
    let what = asserted.name();
    forbidden(
        place,
        &format!(
            "names another {what} than your credential. Tenant and app come from the credential, \
             and this one may not speak for others. Leave it out, or ask the people who run the \
             gateway for a credential that may assert the {what}."
        ),
    )
}

#[cfg(test)]
mod tests;
