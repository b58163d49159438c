//! Cases of finding, loading and reloading a configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cli::{Format, Source};

use super::commands::Desk;
use super::keys::{default_data_dir, digest_key};
use super::loader::{Loader, Origin, Overrides};
use super::watch;
use super::watch::Watcher;

/// A folder of a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tollgate-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let beside = self.0.join(format!("{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &path).unwrap();
        path
    }

    fn loader(&self, config: &Path) -> Loader {
        let overrides = Overrides {
            data_dir: Some(self.0.join("data")),
            ..Overrides::default()
        };
        Loader::new(Origin::File(config.to_owned()), overrides).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GOOD: &str = "
providers:
  sandbox: {kind: sandbox}
keys:
  - {id: a, secret: '${file:key.txt}'}
";
const SECRET: &str = "tg-a-secret-that-nobody-may-see";

#[test]
fn a_file_is_loaded_with_the_files_it_names() {
    let folder = Folder::new();
    let key = folder.write("key.txt", &format!("{SECRET}\n"));
    let config = folder.write("tollgate.yaml", GOOD);
    let loaded = folder.loader(&config).load().expect("usable");
    assert!(loaded.development_key.is_none());
    assert_eq!(loaded.files, [key, config]);
    let who = loaded
        .compiled
        .plan
        .keys
        .identify(SECRET, false)
        .expect("known");
    assert_eq!(&*who.key_id, "a");
    assert!(!format!("{loaded:?}").contains(SECRET));
}

#[test]
fn without_keys_there_is_a_development_key_that_stays() {
    let folder = Folder::new();
    let config = folder.write("tollgate.yaml", "providers: {sandbox: {}}\n");
    let loader = folder.loader(&config);
    let first = loader.load().expect("usable");
    let key = first.development_key.expect("a key");
    assert!(key.expose().starts_with("tg-dev-"));
    assert!(
        first
            .compiled
            .plan
            .keys
            .identify(key.expose(), true)
            .is_ok()
    );
    assert!(
        first
            .compiled
            .plan
            .keys
            .identify(key.expose(), false)
            .is_err()
    );
    let second = loader.load().expect("usable").development_key;
    assert_eq!(second.expect("a key"), key);
    // A start after this one finds the same key, and the same digest with it.
    let next = folder.loader(&config).load().expect("usable");
    assert_eq!(next.compiled.plan.digest, first.compiled.plan.digest);
    assert_eq!(next.development_key.expect("a key"), key);
    let file = folder.0.join("data/development.key");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_plan_has_the_same_digest_after_a_restart() {
    let folder = Folder::new();
    folder.write("key.txt", SECRET);
    let config = folder.write("tollgate.yaml", GOOD);
    let digest = || {
        folder
            .loader(&config)
            .load()
            .expect("usable")
            .compiled
            .plan
            .digest
    };
    let first = digest();
    assert_eq!(digest(), first);
    folder.write("key.txt", "tg-another-secret-for-the-caller");
    assert_ne!(digest(), first);
}

#[test]
fn the_digest_key_is_made_once_and_only_for_us() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let data = folder.0.join("a/b");
    let key = digest_key(&data).unwrap();
    assert_eq!(digest_key(&data).unwrap(), key);
    let mode = fs::metadata(data.join("digest.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(data.join("digest.key"), "short").unwrap();
    let error = digest_key(&data).expect_err("not a key").to_string();
    assert!(error.contains("is not 32 bytes long; remove it"), "{error}");
}

#[test]
fn changes_are_seen_and_bad_ones_reported() {
    let folder = Folder::new();
    folder.write("key.txt", SECRET);
    let config = folder.write("tollgate.yaml", GOOD);
    let loader = folder.loader(&config);
    let first = loader.load().expect("usable");
    let mut watcher = Watcher::new(loader, first.files);
    assert!(watcher.look().is_none(), "nothing changed");

    folder.write("tollgate.yaml", "providers: {sandbox: {kind: sandbx}}\n");
    let failure = watcher.look().expect("a change").expect_err("bad");
    assert_eq!(failure.diagnostics[0].what, "there is no kind `sandbx`");
    assert!(
        watcher.look().is_none(),
        "the same bad file is reported once"
    );

    folder.write("tollgate.yaml", GOOD);
    let second = watcher.look().expect("a change").expect("mended");
    assert_eq!(second.compiled.plan.digest, first.compiled.plan.digest);

    folder.write("key.txt", "tg-another-secret-for-the-caller");
    let third = watcher
        .look()
        .expect("a file that it names changed")
        .expect("good");
    assert_ne!(third.compiled.plan.digest, first.compiled.plan.digest);

    fs::remove_file(&config).unwrap();
    let gone = watcher.look().expect("a change").expect_err("gone");
    assert!(gone.is_unreadable);
    assert!(watcher.look().is_none());
}

#[test]
fn a_swapped_symlink_is_a_change() {
    let folder = Folder::new();
    for version in ["v1", "v2"] {
        fs::create_dir(folder.0.join(version)).unwrap();
    }
    fs::write(
        folder.0.join("v1/tollgate.yaml"),
        "providers: {sandbox: {}}\n",
    )
    .unwrap();
    fs::write(
        folder.0.join("v2/tollgate.yaml"),
        "providers: {sandbox: {}}\nworkers: 2\n",
    )
    .unwrap();
    let link = |version: &str| {
        let new = folder.0.join("new");
        std::os::unix::fs::symlink(version, &new).unwrap();
        fs::rename(&new, folder.0.join("current")).unwrap();
    };
    link("v1");
    let config = folder.0.join("current/tollgate.yaml");
    let loader = folder.loader(&config);
    let first = loader.load().expect("usable");
    let mut watcher = Watcher::new(loader, first.files);
    link("v2");
    let second = watcher.look().expect("a change").expect("good");
    assert_eq!(second.compiled.workers, Some(2));
}

#[test]
fn a_call_reloads_and_tells() {
    let folder = Folder::new();
    let config = folder.write("tollgate.yaml", "providers: {sandbox: {}}\n");
    let loader = folder.loader(&config);
    let first = loader.load().expect("usable");
    let (told, heard) = std::sync::mpsc::channel();
    let reloader = watch(loader, first.files, move |outcome| {
        told.send(outcome.map(|loaded| loaded.compiled.plan.digest).ok())
            .unwrap();
    })
    .unwrap();
    reloader.trigger()();
    assert_eq!(
        heard.recv().unwrap().as_ref(),
        Some(&first.compiled.plan.digest)
    );
    reloader.reload();
    assert!(heard.recv().unwrap().is_some());
    drop(reloader);
    assert!(heard.recv().is_err(), "the watch ends");
}

fn source(path: &Path, format: Format) -> Source {
    Source {
        file: Some(path.to_owned()),
        config: None,
        format,
    }
}

fn ask(work: impl FnOnce(&mut Desk<'_>) -> std::io::Result<u8>) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = work(&mut Desk {
        out: &mut out,
        err: &mut err,
        colour: false,
    });
    (
        code.unwrap(),
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn commands_have_exit_codes_for_scripts() {
    let folder = Folder::new();
    folder.write("key.txt", SECRET);
    let good = folder.write("good.yaml", GOOD);
    let bad = folder.write("bad.yaml", "provider: {}\n");
    let missing = folder.0.join("missing.yaml");
    for (path, code) in [(&good, 0), (&bad, 1), (&missing, 2)] {
        for format in [Format::Text, Format::Json] {
            let (said, out, err) = ask(|desk| desk.check(&source(path, format)));
            assert_eq!(said, code, "{out}{err}");
            assert!(!out.contains(SECRET) && !err.contains(SECRET));
            if format == Format::Json {
                let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(answer["usable"], code == 0);
            }
        }
    }
    let (_, _, err) = ask(|desk| desk.check(&source(&bad, Format::Text)));
    assert!(
        err.contains(":1:1 (provider)") && err.contains("write `providers`"),
        "{err}"
    );
}

#[test]
fn show_masks_secrets_and_schema_is_json() {
    let folder = Folder::new();
    folder.write("key.txt", SECRET);
    let good = folder.write("good.yaml", GOOD);
    for format in [Format::Text, Format::Json] {
        let (code, out, _) = ask(|desk| desk.show(&source(&good, format)));
        assert_eq!(code, 0);
        assert!(
            out.contains("${file:key.txt}") && !out.contains(SECRET),
            "{out}"
        );
    }
    let (_, out, _) = ask(|desk| desk.schema());
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok());
}

#[test]
fn the_data_folder_is_the_platforms() {
    let of = |name: &'static str, value: &'static str| {
        default_data_dir(&move |asked| (asked == name).then(|| value.to_owned()))
    };
    assert_eq!(of("STATE_DIRECTORY", "state"), Path::new("state"));
    assert_eq!(of("XDG_DATA_HOME", "share"), Path::new("share/tollgate"));
    assert!(of("HOME", "home").starts_with("home"));
    assert_eq!(of("OTHER", "x"), Path::new("tollgate-data"));
}
