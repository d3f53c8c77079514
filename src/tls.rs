//! Which cryptography TLS uses, everywhere in the process.

/// Installs it. Several clients may race to install the same provider; the
/// first one wins.
pub fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
