"""The parts of the Grad-CAM page: what to look at and how, the views, and the pieces that they share."""
