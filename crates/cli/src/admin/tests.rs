//! Whose key goes where.

use super::*;

#[test]
fn the_key_of_this_machine_is_not_sent_to_another_one() {
    let dir = std::env::temp_dir().join(format!("tollgate-admin-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("admin.key"), "tg-admin-1\n").expect("a file");
    let setting = Setting {
        key_file: Some(dir.join("admin.key")),
        ..Setting::default()
    };
    let found = |url: &str| {
        let target = Target::parse(url).expect("an address");
        find_key(&AdminArgs::default(), &setting, &target).0
    };
    assert!(found("http://127.0.0.1:1").is_some());
    assert!(found("http://gate.example").is_none());
    fs::remove_dir_all(&dir).expect("removed");
}

#[test]
fn the_listener_is_the_one_named_else_that_of_the_configuration() {
    let args = |admin: Option<&str>| AdminArgs {
        admin: admin.map(str::to_owned),
        ..AdminArgs::default()
    };
    let setting = |admin: Option<&str>| Setting {
        admin: admin.map(str::to_owned),
        ..Setting::default()
    };
    for (typed, configured, address) in [
        (Some("http://a"), Some("http://b"), "http://a"),
        (None, Some("http://b"), "http://b"),
        (None, None, ADMIN_DEFAULT),
    ] {
        let client = Client::new(&args(typed), &setting(configured)).expect("an address");
        assert_eq!(client.address, address);
    }
}
