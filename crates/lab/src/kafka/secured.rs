//! Listeners of a broker that want to know who asks, beside the one that does not.
//!
//! Contract: two listeners with TLS on 127.0.0.1. [`Secured::sasl`] takes PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and
//! OAUTHBEARER, the latter with tokens that nobody signed (Kafka's own way for development). [`Secured::mutual`] takes
//! certificates only. Whoever comes in is known by one name whatever the way: the user, the token's subject, the
//! certificate's common name. [`USER`] may do everything, and so may whoever uses the listener in the clear, who is
//! `ANONYMOUS`; everybody else may do what he was allowed, which is nothing at first.
//!
//! Passwords stand here and in the broker's folder: they protect nothing but a test.

use std::path::PathBuf;

use super::certificates::{self, AUTHORITY, OTHER_AUTHORITY, STORE};
use super::distribution::Distribution;
use super::layout::Layout;
use super::settings::Listener;
use crate::{LabError, files, ports};

/// Who may do everything.
pub const USER: &str = "watertight";
/// Its password, by PLAIN and SCRAM.
pub const USER_PASSWORD: &str = "right-horse-42";
/// Opens the key that belongs to the certificate of [`USER`].
pub const KEY_PASSWORD: &str = "locked-horse-42";
/// Who may do nothing.
pub const GUEST: &str = "guest";
/// Its password, by PLAIN and SCRAM-SHA-512.
pub const GUEST_PASSWORD: &str = "guest-horse-42";
/// Who has a certificate of an authority that brokers do not trust.
pub const STRANGER: &str = "stranger";

/// A cluster's listeners that want to know who asks, and what one can show them.
#[derive(Debug, Clone)]
pub struct Secured {
    folder: PathBuf,
    sasl: u16,
    mutual: u16,
}

impl Secured {
    /// Chooses ports and makes certificates in the cluster's folder. Only for one broker.
    pub(super) fn make(layout: &Layout) -> Result<Self, LabError> {
        let [node] = layout.nodes() else {
            return Err(LabError::Refused("a secured lab has one broker; ask for one".to_owned()));
        };
        // More than two, since the cluster's own are not in use yet.
        let free = ports::free(4)?;
        let mut free = free.into_iter().filter(|port| ![node.broker, node.controller].contains(port));
        let (Some(sasl), Some(mutual)) = (free.next(), free.next()) else {
            return Err(LabError::Refused("no port is free on 127.0.0.1".to_owned()));
        };
        let folder = layout.folder().join("certificates");
        certificates::make(&folder)?;
        Ok(Self { folder, sasl, mutual })
    }

    /// host:port where users show a password or a token, over TLS (`SASL_SSL`).
    #[must_use]
    pub fn sasl(&self) -> String {
        format!("127.0.0.1:{}", self.sasl)
    }

    /// host:port where users show a certificate (`SSL`).
    #[must_use]
    pub fn mutual(&self) -> String {
        format!("127.0.0.1:{}", self.mutual)
    }

    /// The certificate of who signed the broker's.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificate(AUTHORITY)
    }

    /// The certificate of an authority that signed nothing of the broker's.
    #[must_use]
    pub fn other_authority(&self) -> PathBuf {
        self.certificate(OTHER_AUTHORITY)
    }

    /// The certificate of [`USER`], [`GUEST`] or [`STRANGER`].
    #[must_use]
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    /// The key to it; that of [`USER`] is locked with [`KEY_PASSWORD`].
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// The listeners, beside those that every broker has.
    pub(super) fn listeners(&self) -> [Listener; 2] {
        [
            Listener { name: "SASL", protocol: "SASL_SSL", port: self.sasl },
            Listener { name: "MUTUAL", protocol: "SSL", port: self.mutual },
        ]
    }

    /// Has Kafka's tool format a data folder with the users of SCRAM in it: what it wrote.
    pub(super) fn format(distribution: &Distribution, layout: &Layout) -> Result<PathBuf, LabError> {
        let folder = layout.folder().join("formatted");
        files::remove_folder(&folder)?;
        files::make_folder(&folder)?;
        let user = |mechanism: &str, name: &str, password: &str| {
            ["--add-scram".to_owned(), format!("{mechanism}=[name={name},password={password}]")]
        };
        let users = [
            user("SCRAM-SHA-256", USER, USER_PASSWORD),
            user("SCRAM-SHA-512", USER, USER_PASSWORD),
            user("SCRAM-SHA-512", GUEST, GUEST_PASSWORD),
        ];
        distribution.format_in(&folder, &users.concat())
    }

    /// What the broker is told.
    pub(super) fn properties(&self) -> Vec<(String, String)> {
        let of_mechanism = |mechanism: &str, module: &str, more: &str| {
            let name = format!("listener.name.sasl.{mechanism}.sasl.jaas.config");
            (name, format!("org.apache.kafka.common.security.{module} required{more};"))
        };
        let users = format!(" user_{USER}=\"{USER_PASSWORD}\" user_{GUEST}=\"{GUEST_PASSWORD}\"");
        // Brokers have a token of their own, by Kafka's wish; they use it nowhere here.
        let own_token = format!(" unsecuredLoginStringClaim_sub=\"{USER}\"");
        let mut properties = vec![
            of_mechanism("plain", "plain.PlainLoginModule", &users),
            of_mechanism("scram-sha-256", "scram.ScramLoginModule", ""),
            of_mechanism("scram-sha-512", "scram.ScramLoginModule", ""),
            of_mechanism("oauthbearer", "oauthbearer.OAuthBearerLoginModule", &own_token),
        ];
        let path = |name: &str| self.folder.join(name).display().to_string();
        let fixed = [
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned()),
            ("listener.name.mutual.ssl.client.auth", "required".to_owned()),
            // The common name alone.
            ("listener.name.mutual.ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/".to_owned()),
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.location", path(STORE)),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", path(&format!("{AUTHORITY}.pem"))),
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
            ("super.users", format!("User:ANONYMOUS;User:{USER}")),
        ];
        properties.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        properties
    }
}
