//! One repository a shape.
