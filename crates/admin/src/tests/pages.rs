//! The page about the admin API: its table is made from the routes.

use std::fs;
use std::path::Path;

use super::*;

const BEGIN: &str = "<!-- routes: generated, do not edit -->\n";
const END: &str = "<!-- end of routes -->";

fn table() -> String {
    let mut out =
        String::from("| route | what it does | roles | one tenant |\n|---|---|---|---|\n");
    for route in ROUTES {
        let roles: Vec<&str> = route.roles.iter().map(|role| role.name()).collect();
        let (roles, scope) = match route.access {
            Access::Anyone => ("nobody needs a key".to_owned(), "-"),
            Access::Local => (
                format!("on this machine anyone, else {}", roles.join(", ")),
                "no",
            ),
            Access::Key => {
                let scope = match route.scope {
                    Scope::Tenant => "sees its own",
                    Scope::Whole => "no",
                };
                (roles.join(", "), scope)
            }
        };
        out.push_str(&format!(
            "| `{} {}` | {} | {roles} | {scope} |\n",
            route.method, route.path, route.summary
        ));
    }
    out
}

#[test]
fn the_page_about_the_admin_api_has_the_table_of_the_routes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/admin.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark");
    let (_, after) = rest.split_once(END).expect("the end mark");
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/admin.md is stale: run TOLLGATE_BLESS=1 cargo test -p tollgate-admin pages"
    );
}
