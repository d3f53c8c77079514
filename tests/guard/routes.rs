//! The description of the API names every route, and no other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tree::read;

const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// As `GET /jobs/{id}`, from the routers of `src/web/mod.rs`.
fn routes() -> BTreeSet<String> {
    let code = read("src/web/mod.rs");
    let begin = code.find("pub fn api_routes").expect("the routes");
    let mut found = BTreeSet::new();
    for route in code[begin..].split(".route(").skip(1) {
        let Some((path, rest)) = route.trim_start().trim_start_matches('"').split_once('"') else { continue };
        let handlers = rest.lines().next().unwrap_or(rest);
        for method in METHODS.iter().filter(|method| names(handlers, method)) {
            found.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    // The one that is merged, because its bodies may be larger.
    found.insert("POST /batches".to_owned());
    // It does not describe itself.
    found.remove("GET /api/openapi.json");
    found
}

/// Whether the method stands there as a call: `get(…)`, `.post(…)`.
fn names(handlers: &str, method: &str) -> bool {
    let call = format!("{method}(");
    handlers.match_indices(&call).any(|(at, _)| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn described() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&read("src/web/openapi.json")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().expect("methods").keys().map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let (routes, described) = (routes(), described());
    let missing: Vec<_> = routes.difference(&described).collect();
    let invented: Vec<_> = described.difference(&routes).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not described: {missing:?}; no such route: {invented:?}");
    assert!(routes.len() > 60, "{}", routes.len());
}
