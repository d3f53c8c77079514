//! Certificates for a server of the tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Somebody whom clients may trust, or not.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut asked = CertificateParams::default();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(asked, KeyPair::generate().unwrap()).unwrap())
    }

    /// What clients trust, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// An identity for a host of this name.
    pub fn vouch_for(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let asked = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = asked.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
