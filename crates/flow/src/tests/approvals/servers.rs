//! Tools of servers that the provider calls: they are approved by the names
//! that are listed, and by any rule on tools where none are.

use super::*;

const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

/// What a call needs approved, if anything.
fn needed(path: &str, body: &str) -> Vec<String> {
    let world = world(&rule(json!({"tools": ["send_*"]})), answer(false, false));
    let got = world.call(path, body);
    let rows = open(&world, None);
    assert_eq!(rows.is_empty(), got.status != 403, "{}", got.body);
    let records = world.records();
    let plan = world.flow.plan.load_full();
    let (verdict, _) = super::super::rules::again(&plan, &records[0]);
    assert_eq!(verdict == "deny", !rows.is_empty(), "{:?}", records[0]);
    let needs = rows.into_iter().flat_map(|row| row.needs);
    needs.map(|need| need.what).collect()
}

fn responses(tool: &str) -> String {
    format!(r#"{{"model":"m","input":"hi","tools":[{tool}]}}"#)
}

#[test]
fn a_hosted_tool_of_a_server_is_approved_by_its_names_or_whatever_they_are() {
    let unknown = ["every tool that runs by mcp"];
    for tool in [
        r#"{"type":"mcp","server_label":"a","server_url":"https://a.test"}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":[]}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":null}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":{"read_only":true}}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":["get",1]}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":"get"}"#,
    ] {
        assert_eq!(needed(RESPONSES, &responses(tool)), unknown, "{tool}");
    }
    for tool in [
        r#"{"type":"mcp","server_label":"a","allowed_tools":["get","send_mail"]}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":["get","send\u005fmail"]}"#,
        r#"{"type":"mcp","server_label":"a","allowed_tools":{"tool_names":["send_mail"]}}"#,
    ] {
        let what = needed(RESPONSES, &responses(tool));
        assert_eq!(what, ["tool send_mail"], "{tool}");
    }
    for tool in [
        r#"{"type":"mcp","server_label":"a","allowed_tools":["get"]}"#,
        r#"{"type":"web_search"}"#,
    ] {
        assert!(needed(RESPONSES, &responses(tool)).is_empty(), "{tool}");
    }
}

#[test]
fn servers_beside_the_tools_are_no_way_around_an_approval() {
    let messages = |more: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],{more}}}"#
        )
    };
    let unknown = ["every tool that runs by mcp_servers"];
    for more in [
        r#""mcp_servers":[{"type":"url","url":"https://a.test","name":"a"}]"#,
        r#""mcp_servers":[{"name":"a","tool_configuration":{"allowed_tools":["get"]}},{"name":"b"}]"#,
    ] {
        assert_eq!(needed(MESSAGES, &messages(more)), unknown, "{more}");
    }
    let listed =
        r#""mcp_servers":[{"name":"a","tool_configuration":{"allowed_tools":["send_it"]}}]"#;
    assert_eq!(needed(MESSAGES, &messages(listed)), ["tool send_it"]);
    let toolset = r#""tools":[{"type":"mcp_toolset","mcp_server_name":"a"}]"#;
    let what = needed(MESSAGES, &messages(toolset));
    assert_eq!(what, ["every tool that runs by mcp_toolset"]);
    let chat = BARE.replacen('{', r#"{"plugins":[{"id":"web"}],"#, 1);
    assert_eq!(needed(CHAT, &chat), ["every tool that runs by plugins"]);
}

#[test]
fn the_rule_on_tools_judges_the_names_that_a_server_lists() {
    let mcp = |more: &str| responses(&format!(r#"{{"type":"mcp","server_label":"a"{more}}}"#));
    for (settings, more, is_denied) in [
        (
            json!({"deny": ["send_*"]}),
            r#","allowed_tools":["send_mail"]"#,
            true,
        ),
        (
            json!({"deny": ["send_*"]}),
            r#","allowed_tools":["get"]"#,
            false,
        ),
        (
            json!({"deny": ["mcp"]}),
            r#","allowed_tools":["get"]"#,
            true,
        ),
        (json!({"deny": ["mcp"]}), "", true),
        (
            json!({"allow": ["get", "mcp"]}),
            r#","allowed_tools":["get"]"#,
            false,
        ),
        (
            json!({"allow": ["get", "mcp"]}),
            r#","allowed_tools":["send_mail"]"#,
            true,
        ),
        (json!({"allow": ["get"]}), "", true),
    ] {
        let case = format!("{settings} {more}");
        let rules = [("r", "tools", settings, Mode::Enforce)];
        let world = world(&rules, answer(false, false));
        let got = world.call(RESPONSES, &mcp(more));
        assert_eq!(got.status == 403, is_denied, "{case}: {}", got.body);
    }
}
