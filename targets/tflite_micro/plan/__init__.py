"""Where every activation lives: offsets in one arena, found before the firmware is linked."""
