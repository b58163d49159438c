//! Policy: rules in layers. Only narrower ever: a layer can deny and cap, and
//! take back nothing of what another one denies.

use std::borrow::Cow;

use access::{Mode, RULES};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::text::Named;

/// What callers may do. A call is held to the rules of the organisation, its
/// tenant, its app, its use case and its key, all of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyEntry {
    /// Most that the organisation's own rules do.
    pub mode: Mode,
    /// Whom to ask for more, told with every denial. A sentence, such as
    /// `Ask in #ai-platform.`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Rules for every call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
    /// Rules for calls that name a use case, whoever makes them.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub use_cases: Named<LayerEntry>,
    /// Rules for tenants.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub tenants: Named<TenantEntry>,
}

/// Rules of one layer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LayerEntry {
    /// Most that the rules of this layer do.
    pub mode: Mode,
    /// Whom to ask for more, where it differs from the layer above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
}

/// Rules of a tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantEntry {
    /// Most that the tenant's own rules do.
    pub mode: Mode,
    /// Whom to ask for more, where it differs from the organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Rules for every call of the tenant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
    /// Rules for its apps.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub apps: Named<AppEntry>,
}

/// Rules of an app.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AppEntry {
    /// Most that the app's own rules do.
    pub mode: Mode,
    /// Whom to ask for more, where it differs from the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Rules for every call of the app.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
    /// Rules for its calls of a use case.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub use_cases: Named<LayerEntry>,
}

/// A rule: a name, a mode, and the settings of one kind under its name.
#[derive(Clone, Debug)]
pub struct RuleEntry {
    /// Name in messages, records and metrics.
    pub name: String,
    /// What it does about what it finds.
    pub mode: Mode,
    /// Whom to ask for more, where it differs from the layer.
    pub contact: Option<String>,
    /// Settings by the name of the kind; one of them.
    pub settings: Map<String, Value>,
}

impl Serialize for RuleEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("mode", &self.mode)?;
        if let Some(contact) = &self.contact {
            map.serialize_entry("contact", contact)?;
        }
        for (kind, settings) in &self.settings {
            map.serialize_entry(kind, settings)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RuleEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut settings = Map::<String, Value>::deserialize(from)?;
        let mut text = |name: &str| match settings.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(D::Error::custom(format!("`{name}` is not a text"))),
            None => Ok(None),
        };
        let name = text("name")?.ok_or_else(|| D::Error::missing_field("name"))?;
        let contact = text("contact")?;
        let mode = settings.remove("mode").map(serde_json::from_value);
        Ok(Self {
            name,
            mode: mode
                .transpose()
                .map_err(D::Error::custom)?
                .unwrap_or_default(),
            contact,
            settings,
        })
    }
}

impl JsonSchema for RuleEntry {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        let mut add = |name: &str, described: &str, schema: Schema| {
            let mut schema = schema;
            schema.insert("description".to_owned(), described.into());
            properties.insert(name.to_owned(), schema.to_value());
        };
        add(
            "name",
            "Name in messages, records and metrics.",
            json_schema!({ "type": "string" }),
        );
        add(
            "mode",
            "What it does about what it finds. Default `enforce`.",
            generator.subschema_for::<Mode>(),
        );
        add(
            "contact",
            "Whom to ask for more, where it differs from the layer.",
            json_schema!({ "type": "string" }),
        );
        for kind in RULES {
            add(kind.name, kind.doc, (kind.schema)(generator));
        }
        json_schema!({
            "type": "object",
            "description": "A rule: a name, a mode, and the settings of one kind under its name.",
            "properties": properties,
            "required": ["name"],
            "additionalProperties": false,
        })
    }
}
