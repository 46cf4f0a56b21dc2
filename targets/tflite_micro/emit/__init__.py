"""From kernel calls and a memory plan to C files, by filling templates."""
