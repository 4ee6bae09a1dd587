//! Where the stack listens: every fixed port follows from the base port.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::error::StackError;

/// The fixed ports of one stack, all on 127.0.0.1. Sandboxes listen on ephemeral ports of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The HTTP API.
    pub api: u16,
    /// The control server: outbox, time machine, faults.
    pub control: u16,
    /// MiniStack, when the stack starts it.
    pub ministack: u16,
}

impl Ports {
    /// The ports for `base`: the API on it, the rest right after. With base 0 every port is a free one of the
    /// system's choice, so that several stacks (tests) can run side by side.
    pub fn from_base(base: u16) -> Self {
        match base {
            0 => Self { api: 0, control: 0, ministack: 0 },
            base => Self { api: base, control: base.saturating_add(1), ministack: base.saturating_add(2) },
        }
    }
}

/// Listens on `port` of 127.0.0.1 (0: a free one) and tells the address.
pub async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), StackError> {
    let taken = |source| StackError::Port { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    Ok((listener, address))
}

/// A port that another program can be told to listen on: `port` itself if it is free now, or a free one for 0.
pub async fn free(port: u16) -> Result<u16, StackError> {
    listen(port).await.map(|(_, address)| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_follow_from_the_base_port() {
        assert_eq!(Ports::from_base(4600), Ports { api: 4600, control: 4601, ministack: 4602 });
        assert_eq!(Ports::from_base(0), Ports { api: 0, control: 0, ministack: 0 });
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let (_held, address) = listen(0).await.unwrap();
        let error = listen(address.port()).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {} is taken", address.port())), "{error}");
    }
}
