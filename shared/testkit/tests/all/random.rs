//! Anything in any order, with copies of everything and faults anywhere.
