//! The OpenAPI document, written from the table of routes, so that it lists
//! exactly what is served.
//!
//! Deliberately not here: schemas of every field; `docs/logs.md` explains the
//! fields of a record.

use serde_json::{Map, Value, json};

use crate::routes::{Access, ROUTES, Route, Scope, placeholder};

/// The document, of version 3.1 of the OpenAPI specification.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Served by the admin listener only, by default 127.0.0.1:4101."
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"adminKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": {"type": "string"},
                        "message": {"type": "string"}
                    }
                }}
            }}
        }
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(name) = placeholder(route.path) {
        parameters.push(parameter("path", name, "Names one of them"));
    }
    let query = route
        .params
        .iter()
        .map(|(name, doc)| parameter("query", name, doc));
    parameters.extend(query);
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({"description": "Done", "content": {route.content: {}}}),
    );
    let open = [(405, "Another method is needed")];
    let locked = [
        (401, "No credential, or a wrong one"),
        (403, "The credential may not do this"),
        (429, "Too many wrong credentials"),
    ];
    let security = match route.access {
        Access::Anyone => json!([]),
        // An empty requirement says that it also works without.
        Access::Local => json!([{}, {"adminKey": []}]),
        Access::Key => json!([{"adminKey": []}]),
    };
    let of_access = match route.access {
        Access::Anyone => &locked[..0],
        Access::Local | Access::Key => &locked[..],
    };
    for (status, doc) in route.statuses.iter().chain(&open).chain(of_access) {
        let error = json!({"schema": {"$ref": "#/components/schemas/Error"}});
        // Probes speak plain text even when they say no.
        let content = match route.access {
            Access::Anyone if *status != 405 => json!({route.content: {}}),
            Access::Local | Access::Key if *status < 300 => {
                // A success of its own kind, in the place of the usual one.
                responses.remove("200");
                json!({route.content: {}})
            }
            Access::Anyone | Access::Local | Access::Key => json!({"application/json": error}),
        };
        responses.insert(
            status.to_string(),
            json!({"description": doc, "content": content}),
        );
    }
    let mut operation = json!({
        "summary": route.summary,
        "security": security,
        "parameters": parameters,
        "responses": responses,
    });
    if route.access != Access::Anyone {
        let roles: Vec<&str> = route.roles.iter().map(|role| role.name()).collect();
        operation["x-roles"] = json!(roles);
        operation["x-tenant-scope"] = json!(route.scope == Scope::Tenant);
    }
    if route.body_bytes_max > 0 {
        let fields: Map<String, Value> = route
            .fields
            .iter()
            .map(|(name, doc)| ((*name).to_owned(), json!({"description": doc})))
            .collect();
        let schema = json!({"type": "object", "properties": fields});
        operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    operation
}

fn parameter(place: &str, name: &str, doc: &str) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": doc,
        "schema": {"type": "string"},
    })
}
