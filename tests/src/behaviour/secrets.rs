//! Rule 28: no error and no debug text has credentials, and a connection to another machine is encrypted.

use std::error::Error as _;
use std::time::Duration;

use streamkeep::{Error, EventStore, OpenOptions};

use super::refused;
use crate::harness::{Backend, Room};
use crate::suite::Case;

const SECRET: &str = "s3cr3t-s3nt1n3l";
const NO_PASSWORDS: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no credentials and no network"),
    (Backend::Sqlite, "it has no credentials and no network"),
];

const ONLY_MONGODB: &[(Backend, &str)] = &[
    (Backend::Memory, "it has no credentials and no network"),
    (Backend::Sqlite, "it has no credentials and no network"),
    (Backend::Postgres, "its client names no addresses"),
];

pub(super) fn cases() -> Vec<Case> {
    crate::cases![
        a_value_of_the_url_appears_in_no_error_or_debug_text,
        a_password_appears_in_no_error_or_debug_text: lacking NO_PASSWORDS,
        an_address_of_the_url_appears_in_no_error_of_mongodb: lacking ONLY_MONGODB,
        a_connection_off_this_machine_is_encrypted_or_insecure_by_choice: lacking NO_PASSWORDS,
    ]
}

fn assert_silent(what: &str, error: &Error) {
    let mut texts = vec![error.to_string(), format!("{error:?}"), format!("{error:#?}"), error.to_json()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.extend([inner.to_string(), format!("{inner:?}")]);
        cause = inner.source();
    }
    assert!(texts.iter().all(|text| !text.contains(SECRET)), "{what}: {texts:?}");
}

async fn a_value_of_the_url_appears_in_no_error_or_debug_text(room: Room) {
    for wrong in ["?colour=", "?timeout_ms=", "?durability=", "?create="] {
        let options = room.options_with(&format!("{wrong}{SECRET}"));
        assert!(!format!("{options:?}").contains(SECRET));
        let error = refused(options.open().await);
        assert_eq!(error.code(), "config");
        assert_silent(wrong, &error);
    }
    // Without a scheme, or with a mistyped one, the whole URL could be taken for a scheme.
    for malformed in [
        SECRET.to_owned(),
        format!("{SECRET}@localhost/x"),
        format!("{SECRET}:1@localhost/x"),
        format!("postgres//{SECRET}:1@localhost/x"),
        format!("//{SECRET}:1@localhost/x"),
    ] {
        let options = OpenOptions::new(malformed.as_str());
        assert!(!format!("{options:?}").contains(SECRET), "{options:?}");
        assert_silent("no scheme", &refused(options.open().await));
    }
    for other in [format!("nosuch://amy:{SECRET}@host/?a={SECRET}"), format!("nosuch://amy:1?{SECRET}@host/")] {
        assert_silent("another scheme", &refused(EventStore::open(other).await));
    }
}

async fn a_password_appears_in_no_error_or_debug_text(room: Room) {
    let mongodb = [
        format!("mongodb://amy:{SECRET}@127.0.0.1:1/x"),
        format!("mongodb://amy:{SECRET}@127.0.0.1:1/x?colour={SECRET}"),
        format!("mongodb://amy:{SECRET}@127.0.0.1:notaport/x"),
        format!("mongodb://amy:{SECRET}@[::1/x"),
        format!("mongodb://amy:{SECRET}@192.0.2.1/x?tls=false"),
        format!("mongodb://amy:{SECRET}@127.0.0.1:1/x?authMechanism={SECRET}"),
        format!("mongodb+srv://amy:{SECRET}@nowhere.invalid/x"),
    ];
    let postgres = [
        format!("postgres://amy:{SECRET}@127.0.0.1:1/x"),
        format!("postgresql://amy:{SECRET}@127.0.0.1:1/x?colour={SECRET}"),
        format!("postgres://amy:{SECRET}@127.0.0.1:notaport/x"),
        format!("postgres://amy:{SECRET}@[::1/x"),
        format!("postgres://amy:{SECRET}@192.0.2.1/x?sslmode=disable"),
        format!("postgres://127.0.0.1:1/x?password={SECRET}&user=amy"),
        format!("postgres://amy:{SECRET}?x@127.0.0.1:1/x"),
        format!("postgres://amy:1?{SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:1?{SECRET}=1&x@127.0.0.1:1/x"),
        format!("postgres://amy:1?x&{SECRET}=1@127.0.0.1:1/x"),
        format!("postgres://amy:1?timeout_ms={SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:1?namespace={SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:1#{SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:1/{SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:1@{SECRET}@127.0.0.1:1/x"),
        format!("postgres://amy:%{SECRET}@127.0.0.1:1/x"),
        format!("postgres://{SECRET}:1/x?insecure=true"),
        format!("postgres:amy:1?{SECRET}@127.0.0.1:1/x"),
    ];
    for url in if room.backend() == Backend::Mongodb { &mongodb[..] } else { &postgres[..] } {
        let options = OpenOptions::new(url.as_str()).timeout(Duration::from_millis(500));
        assert!(!format!("{options:?}").contains(SECRET));
        assert_silent("opening", &refused(options.open().await));
    }
}

/// MongoDB's client names the addresses that it tries, and in a malformed URL one can be a part of the password.
async fn an_address_of_the_url_appears_in_no_error_of_mongodb(_room: Room) {
    for url in [
        format!("mongodb://{SECRET}:1/x?insecure=true"),
        format!("mongodb://amy:1?{SECRET}&x@127.0.0.1:1/x"),
        format!("mongodb+srv://{SECRET}.invalid/x"),
    ] {
        let options = OpenOptions::new(url.as_str()).timeout(Duration::from_millis(500));
        assert_silent("opening", &refused(options.open().await));
    }
    let options = OpenOptions::new("mongodb://127.0.0.1:1/x").timeout(Duration::from_millis(500));
    let refusal = refused(options.open().await);
    let words = format!("{refusal} {refusal:?}");
    assert!(words.contains("Connection refused") && !words.contains("127.0.0.1"), "{words}");
}

async fn a_connection_off_this_machine_is_encrypted_or_insecure_by_choice(room: Room) {
    // This address is reserved for documentation, so no server answers and every refusal comes before anything is sent.
    let urls = match room.backend() {
        Backend::Mongodb => ["tls=false", "ssl=false", "tls=true&tlsInsecure=true"]
            .map(|weak| format!("mongodb://amy@192.0.2.1/x?{weak}&timeout_ms=300")),
        _ => ["disable", "prefer", "require"]
            .map(|weak| format!("postgres://amy@192.0.2.1/x?sslmode={weak}&timeout_ms=300")),
    };
    for url in urls {
        assert_eq!(refused(EventStore::open(url.as_str()).await).code(), "config", "{url}");
        assert_eq!(refused(EventStore::open(format!("{url}&insecure=true")).await).code(), "unavailable", "{url}");
    }
}
