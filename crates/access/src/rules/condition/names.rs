//! The names that a condition may use, each made when it is asked for.

use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use crate::facts::{Content, Facts};
use crate::metadata::Field;

/// All names.
pub(super) const NAMES: [&str; 17] = [
    "tenant",
    "app",
    "key",
    "groups",
    "user",
    "address",
    "operation",
    "model",
    "stream",
    "input_tokens",
    "output_tokens_max",
    "hour",
    "weekday",
    "tools",
    "urls",
    "system",
    METADATA,
];

/// The name that has fields.
pub(super) const METADATA: &str = "metadata";

/// Days, from the first of the epoch.
const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

/// What stands for the names.
pub(super) struct Names<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) content: &'a Content,
}

impl VariableResolver for Names<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let facts = self.facts;
        if let Some(field) = name.strip_prefix("metadata.") {
            return Some(text(facts.metadata.get(Field::named(field)?)?));
        }
        Some(match name {
            "tenant" => text(facts.tenant),
            "app" => text(facts.app),
            "key" => text(facts.key_id),
            "user" => text(facts.metadata.get(Field::User).unwrap_or_default()),
            "operation" => text(facts.operation.name()),
            "model" => text(facts.model),
            "weekday" => text(weekday(facts.now_s)),
            "address" => CowVal::owned(CelString::from(match facts.address {
                Some(address) => address.to_canonical().to_string(),
                None => String::new(),
            })),
            "stream" => CowVal::owned(CelBool::from(facts.stream)),
            "system" => CowVal::owned(CelBool::from(self.content.system)),
            "input_tokens" => number(facts.input_tokens),
            "output_tokens_max" => match facts.output_tokens_max {
                Some(tokens) => number(tokens),
                None => CowVal::owned(CelNull),
            },
            "hour" => number(facts.now_s / 3_600 % 24),
            "groups" => list(facts.groups.iter().map(|group| &**group)),
            "tools" => list(self.content.tools.iter().map(|tool| &*tool.name)),
            "urls" => list(self.content.urls.iter().map(|url| &**url)),
            METADATA => metadata(facts),
            _ => return None,
        })
    }
}

fn weekday(now_s: u64) -> &'static str {
    let day = usize::try_from(now_s / 86_400 % 7).unwrap_or_default();
    DAYS[day]
}

fn text<'b>(text: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

fn number<'b>(number: u64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn boxed<'b>(text: &'b str) -> Box<dyn Val + 'b> {
    Box::new(CelString::from(text))
}

fn list<'b>(texts: impl Iterator<Item = &'b str>) -> CowVal<'b, 'b> {
    let texts: Vec<Box<dyn Val + 'b>> = texts.map(boxed).collect();
    CowVal::owned(CelList::from(texts))
}

fn metadata<'b>(facts: &'b Facts<'b>) -> CowVal<'b, 'b> {
    let fields: std::collections::HashMap<_, _> = facts
        .metadata
        .iter()
        .map(|(field, value)| (CelMapKey::from(field.name()), boxed(value)))
        .collect();
    CowVal::owned(CelMap::from(fields))
}
