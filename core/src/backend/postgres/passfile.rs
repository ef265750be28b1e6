//! Reads libpq's password file: lines of `host:port:database:user:password`, of which the first match counts.

use std::env;
use std::path::{Path, PathBuf};

/// The default socket folders of servers, which libpq looks up as `localhost`.
const DEFAULT_FOLDERS: [&str; 3] = ["/tmp", "/run/postgresql", "/var/run/postgresql"];

/// The login whose password is looked up.
pub(super) struct Login<'a> {
    /// A host name, an address, or a socket folder.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// Looks up a password in the named file, or where libpq looks: `PGPASSFILE`, then `~/.pgpass`.
pub(super) fn password(named: Option<&str>, login: &Login<'_>) -> Option<String> {
    let path = named
        .map(PathBuf::from)
        .or_else(|| env::var_os("PGPASSFILE").map(PathBuf::from))
        .or_else(|| env::home_dir().map(|home| home.join(".pgpass")))?;
    // Read as bytes, so that a line in another encoding does not hide the other lines.
    let text = std::fs::read(&path).ok()?;
    if others_can_read(&path) {
        tracing::warn!("the password file is ignored: others can read it; its mode must be 0600 or less");
        return None;
    }
    find(&String::from_utf8_lossy(&text), login)
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_path: &Path) -> bool {
    false
}

fn find(text: &str, login: &Login<'_>) -> Option<String> {
    let host = if DEFAULT_FOLDERS.contains(&login.host) { "localhost" } else { login.host };
    let port = login.port.to_string();
    let wanted = [host, &port, login.database, login.user];
    text.lines().filter(|line| !line.starts_with('#')).map(fields).find_map(|fields| {
        let matches = wanted.iter().zip(&fields).all(|(wanted, field)| field == wanted || field == "*");
        fields.into_iter().nth(wanted.len()).filter(|password| matches && !password.is_empty())
    })
}

/// The fields of a line. A backslash makes the next character part of the field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(field) = fields.last_mut() {
            field.push(literal);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Option<String> {
        find(text, &Login { host, port: 5432, database: "orders", user: "amy" })
    }

    #[test]
    fn the_first_line_that_matches_counts() {
        let text =
            "# amy\nother:5432:orders:amy:1\nhost:5433:orders:amy:2\nhost:5432:orders:bob:3\nhost:*:*:amy:4\n*:*:*:*:5";
        assert_eq!(found(text, "host").as_deref(), Some("4"));
        assert_eq!(found(text, "elsewhere").as_deref(), Some("5"));
        assert_eq!(found("host:5432:orders:amy", "host"), None);
        assert_eq!(found("", "host"), None);
    }

    #[test]
    fn colons_and_backslashes_of_a_field_are_escaped() {
        assert_eq!(found(r"\:\:1:5432:orders:amy:a\:b\\c", "::1").as_deref(), Some(r"a:b\c"));
    }

    #[test]
    fn a_line_that_is_not_utf_8_hides_no_other() {
        let folder = std::env::temp_dir().join(format!("streamkeep-passfile-{}", std::process::id()));
        std::fs::write(&folder, b"# caf\xe9\nhost:*:*:amy:geheim\r\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let found = password(folder.to_str(), &Login { host: "host", port: 1, database: "orders", user: "amy" });
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(found.as_deref(), Some("geheim"));
    }

    #[test]
    fn a_default_folder_of_sockets_is_localhost() {
        assert_eq!(found("localhost:*:*:*:p", "/var/run/postgresql").as_deref(), Some("p"));
        assert_eq!(found("/srv/sockets:*:*:*:p", "/srv/sockets").as_deref(), Some("p"));
        assert_eq!(found("localhost:*:*:*:p", "/srv/sockets"), None);
    }
}
