"""How a network begins and which of its layers learn: schemes, given weights, frozen layers, rates per layer."""
