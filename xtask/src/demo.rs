//! The demo salon and its booking's three days.

use std::process::Command;
use std::sync::mpsc::Receiver;

use anyhow::Result;

use crate::stack::Stack;

/// What was seeded.
pub struct Salon {
    pub api_key: String,
    pub booking_id: String,
}

pub fn seed(_stack: &Stack, _keep: bool) -> Result<Salon> {
    let _ = Command::new("x");
    Ok(Salon {
        api_key: String::new(),
        booking_id: String::new(),
    })
}
pub fn play(_stack: &Stack, _salon: &Salon, _interrupted: &Receiver<()>) -> Result<()> {
    Ok(())
}
