//! Texts about failed connections, without parts of the URL.
//!
//! The driver's messages have the addresses that it tries. If the URL is malformed, a part of the password can be read
//! as an address. So the driver's message is replaced: the cause is given in the operating system's or the store's
//! words.

use std::io;

/// Causes without an error number of the operating system: a part of the driver's message, and the store's text.
const CAUSES: [(&str, &str); 12] = [
    ("failed to lookup address", "the host's name could not be resolved"),
    ("No DNS results", "the host's name could not be resolved"),
    ("NotValidForName", "TLS: the server's certificate is for another host"),
    ("not valid for name", "TLS: the server's certificate is for another host"),
    ("UnknownIssuer", "TLS: the server's certificate was issued by an authority that is not trusted here"),
    ("certificate", "TLS: the server's certificate was not accepted"),
    ("TLS", "TLS: no encrypted connection could be made"),
    ("corrupt message", "TLS: no encrypted connection could be made"),
    ("timed out", "no answer in time"),
    ("unexpected end of file", "the server closed the connection"),
    ("ReplicaSetNoPrimary", "the replica set has no primary at present"),
    ("None of the available servers", "no server is a primary at present"),
];

/// Says why an operation on a connection failed.
pub(super) fn of_io(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| of_text(&format!("{error} {}", error.kind())), of_number)
}

/// Says why the driver found no server.
pub(super) fn of_selection(message: &str) -> String {
    if let Some(refusal) = between(message, "Command failed: ", ", labels:") {
        return refusal.to_owned();
    }
    between(message, "(os error ", ")")
        .and_then(|number| number.parse().ok())
        .map_or_else(|| of_text(message), of_number)
}

/// The wire version of a server that the driver refuses.
pub(super) fn wire_version(message: &str) -> Option<&str> {
    between(message, " reports wire version ", ",").or_else(|| between(message, " requires wire version ", ","))
}

fn of_number(number: i32) -> String {
    io::Error::from_raw_os_error(number).to_string()
}

fn of_text(text: &str) -> String {
    let cause = CAUSES.iter().find(|(theirs, _)| text.contains(theirs));
    cause.map_or("no server answers", |(_, ours)| ours).to_owned()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_kept_and_an_address_is_not() {
        let selection = |kind: &str| {
            format!(
                "Server selection timeout: No available servers. Topology: {{ Type: Unknown, Servers: [ {{ Address: geheim:27017, Type: Unknown, Error: Kind: {kind}, labels: {{}} }} ] }}"
            )
        };
        for (kind, words) in [
            ("I/O error: Connection refused (os error 111)", "Connection refused (os error 111)"),
            (
                "I/O error: failed to lookup address information: Name or service not known",
                "name could not be resolved",
            ),
            ("I/O error: timed out", "no answer in time"),
            ("Command failed: Error code 18 (AuthenticationFailed): no", "(AuthenticationFailed): no"),
            ("something else about geheim", "no server answers"),
        ] {
            let told = of_selection(&selection(kind));
            assert!(told.contains(words) && !told.contains("geheim"), "{kind}: {told}");
        }
        assert_eq!(wire_version("Server at geheim:1 reports wire version 8, but this"), Some("8"));
        let invalid =
            io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: not valid for name \"geheim\"");
        assert_eq!(of_io(&invalid), "TLS: the server's certificate is for another host");
        assert_eq!(of_io(&io::ErrorKind::UnexpectedEof.into()), "the server closed the connection");
    }
}
