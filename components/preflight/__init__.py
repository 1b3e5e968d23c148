"""Everything that can be asked before the first resource, so that a stack that cannot work creates nothing."""
